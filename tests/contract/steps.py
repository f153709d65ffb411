"""What tests of destinations do again and again, in one transaction each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.contract.destinations import DestinationBench
from warp.change import Delete, Key, KeyKind, Operation, Partition, Record, TableRef, Write
from warp.destinations.base import Destination, Written
from warp.evolution.decide import Decision
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.evolution.shape import Shape
from warp.metadata.base import DeadLetter, TableState
from warp.sources.base import Chunk, SourceTable, StreamPoint
from warp.values import Value

REF = TableRef("shop", "orders")
PARTITION = Partition(*REF, 0, 1)
START = StreamPoint(position="82", ts=1)


def key(name: object) -> Key:
    """A key that is a string."""
    return Key(KeyKind.STRING, str(name))


def seen(*records: Record, keys: Iterable[Key] = (key("a"),)) -> Seen:
    """What a batch with such records and keys brings."""
    seen = Seen()
    seen.add_keys(keys)
    seen.add_records(records, None)
    return seen


def make_table(target: DestinationBench, *records: Record, soft: bool = False) -> Shape:
    """Make the table, for such records, with the snapshot of it open."""
    metadata = target.destination.metadata
    metadata.begin_schema(REF.schema, START, [SourceTable(name=REF.table, documents=1, size_bytes=1)], {REF.table: 1})
    metadata.add_chunks(REF, [Chunk(lower=None, upper=b"m"), Chunk(lower=b"m", upper=None)])
    return evolve(target.destination, *records or ({"v": 1},), soft=soft).after


def evolve(destination: Destination, *records: Record, soft: bool = False, keys: Iterable[Key] = ()) -> Decision:
    """Give the table the shape that such records need."""
    return destination.evolve(REF, seen(*records, keys=keys or [key("a")]), Rules(soft_delete=soft), cause="test")


def upsert(target: DestinationBench, shape: Shape, ts: int, *names: str, v: Value = 1) -> Written:
    """Write documents of those keys as a change of the stream at `ts`."""
    with target.destination.transaction() as transaction:
        return transaction.upsert(REF, shape, [Write(key(name), ts, {"v": v}) for name in names])


def load(target: DestinationBench, shape: Shape, ts: int, *names: str, v: Value = 1) -> Written:
    """Write documents of those keys as rows of a snapshot at `ts`."""
    with target.destination.transaction() as transaction:
        return transaction.load(REF, shape, [Write(key(name), ts, {"v": v}) for name in names])


def delete(
    target: DestinationBench, shape: Shape, ts: int, *names: str, soft: bool = False, tombstones: bool = False
) -> Written:
    """Delete documents of those keys as of `ts`."""
    with target.destination.transaction() as transaction:
        deletes = [Delete(key(name), ts) for name in names]
        return transaction.delete(REF, shape, deletes, soft=soft, tombstones=tombstones)


def shown(target: DestinationBench) -> dict[str, Any]:
    """What each row has in `v`, by the text of its key."""
    keys = [key for keys in target.destination.keys(REF) for key in keys]
    assert target.destination.count(REF) == len(keys)
    return {key.text: row["v"] for key, row in target.destination.rows(REF, keys).items()}


def table_state(target: DestinationBench) -> TableState:
    """The one table there is."""
    (state,) = target.destination.metadata.tables(REF.schema)
    return state


def letter(position: str, of: Key | None = None, ts: int = 1) -> DeadLetter:
    """A dead letter."""
    return DeadLetter(
        ref=REF,
        key=of or key("a"),
        operation=Operation.INSERT,
        position=position,
        ts=ts,
        payload=b"\x00change",
        error_class="Poison",
        error="cannot be stored",
        traceback="",
        correlation_id="cid",
    )
