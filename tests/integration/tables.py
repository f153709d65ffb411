"""Writing documents to one table of a destination, in as few words as possible."""

from __future__ import annotations

import psycopg

from warp.change import Delete, Key, KeyKind, Partition, Record, TableRef, Write
from warp.destinations.base import Destination, Written
from warp.evolution.infer import Seen
from warp.evolution.rules import DEFAULT
from warp.evolution.shape import Shape
from warp.sources.base import Chunk, SourceTable, StreamPoint

TABLE = TableRef("shop", "orders")
PARTITION = Partition(*TABLE, number=0, of=2)


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
    return destination.evolve(ref, seen, DEFAULT, cause="test").after


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


def delete(destination: Destination, ts: int, *names: str, **options: bool) -> Written:
    """Delete documents, in a transaction."""
    options = {"soft": False, "tombstones": False, **options}
    shape = destination.tables(TABLE.schema)[TABLE.table]
    with destination.transaction() as transaction:
        return transaction.delete(TABLE, shape, [Delete(key(name), ts) for name in names], **options)


def open_snapshot(destination: Destination, *chunks: Chunk) -> None:
    """Begin the first load of the table."""
    orders = SourceTable(name=TABLE.table, documents=9, size_bytes=9)
    destination.metadata.begin_schema(TABLE.schema, StreamPoint(position="A", ts=1), [orders], {TABLE.table: 2})
    destination.metadata.add_chunks(TABLE, chunks)


def columns(postgresql: psycopg.Connection, ref: TableRef = TABLE) -> dict[str, str]:
    """The columns of a table and their types."""
    found = postgresql.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "ORDER BY ordinal_position",
        [*ref],
    )
    return dict(found.fetchall())
