"""Writing documents to one table of a destination, in as few words as possible."""

from __future__ import annotations

from warp.change import Key, KeyKind, Record, TableRef, Write
from warp.destinations.base import Destination, Written
from warp.evolution.infer import Seen
from warp.evolution.shape import Shape

TABLE = TableRef("shop", "orders")


def key(name: str) -> Key:
    """A key that is a string."""
    return Key(KeyKind.STRING, name)


def writes_of(ts: int, documents: dict[str, Record]) -> list[Write]:
    """Documents as of a time."""
    return [Write(key(name), ts, record) for name, record in documents.items()]


def fitted(destination: Destination, *records: Record, ref: TableRef = TABLE, keys: tuple[Key, ...] = ()) -> Shape:
    """Give the table the shape that those records need; its shape."""
    seen = Seen()
    seen.add_keys(keys or [key("any")])
    seen.add_records(records, destination.tables(ref.schema).get(ref.table))
    return destination.evolve(ref, seen, soft_delete=False, cause="test").after


def save(destination: Destination, ts: int, **documents: Record) -> Written:
    """Write documents as changes of the stream, by their key."""
    shape = fitted(destination, *documents.values())
    with destination.transaction() as transaction:
        return transaction.upsert(TABLE, shape, writes_of(ts, documents))


def load(destination: Destination, ts: int, **documents: Record) -> Written:
    """Write documents as rows of a snapshot, by their key."""
    shape = fitted(destination, *documents.values())
    with destination.transaction() as transaction:
        return transaction.load(TABLE, shape, writes_of(ts, documents))
