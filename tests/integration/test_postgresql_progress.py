"""Progress in a real PostgreSQL: markers, chunks, dead letters and checkpoints, and who may move them."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from tests.integration.tables import PARTITION, TABLE, delete, fitted, key
from warp.change import Operation, Partition
from warp.destinations.postgresql.destination import PostgresDestination
from warp.metadata.base import DeadLetter
from warp.sources.base import Chunk, SourceTable, StreamPoint


def test_a_partition_is_locked_by_one_and_its_position_only_grows(
    destination: PostgresDestination, another: PostgresDestination
) -> None:
    with destination.transaction() as one:
        state = one.lock_partition(PARTITION)
        assert state is not None
        assert (state.position, state.partitions, state.snapshot_open) == ("", 2, False)
    with destination.transaction() as one, another.transaction() as other:
        assert one.lock_partition(PARTITION) is not None
        assert other.lock_partition(PARTITION) is None
        assert other.lock_partition(PARTITION._replace(number=1)) is not None
        one.advance(PARTITION, "B", 5, 3)
    with another.transaction() as other:
        state = other.lock_partition(PARTITION)
        assert state is not None
        assert state.position == "B"
        other.advance(PARTITION, "A", 4, 1)
    assert destination.metadata.markers(TABLE.schema)[PARTITION] == "B"


def test_a_chunk_is_loaded_by_one_and_goes_on_where_it_stood(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    metadata = destination.metadata
    start = StreamPoint(position="A", ts=1)
    metadata.begin_schema(
        TABLE.schema, start, [SourceTable(name=TABLE.table, documents=9, size_bytes=9)], {TABLE.table: 1}
    )
    chunks = [Chunk(lower=None, upper=b"5"), Chunk(lower=b"5", upper=None)]
    assert metadata.add_chunks(TABLE, chunks) == 2
    assert another.metadata.add_chunks(TABLE, chunks[:1]) == 0
    assert metadata.missing_chunks(TABLE, 10) == [1, 2]
    with destination.transaction() as one, another.transaction() as other:
        assert one.lock_chunk(TABLE, 1) == chunks[0]
        assert other.lock_chunk(TABLE, 1) is None
        assert other.lock_chunk(TABLE, 2) == chunks[1]
        one.shrink_chunk(TABLE, 1, b"3", 7, first=b"1")
    with another.transaction() as other:
        assert other.lock_chunk(TABLE, 1) == Chunk(lower=b"3", upper=b"5")
        other.finish_chunk(TABLE, 1)
    assert not metadata.close_snapshot(TABLE)
    with another.transaction() as other:
        assert other.lock_chunk(TABLE, 1) is None
        assert other.lock_chunk(TABLE, 2) is not None
        other.finish_chunk(TABLE, 2)
    fitted(destination, {"n": 1})
    delete(destination, 10, "a", tombstones=True)
    assert metadata.close_snapshot(TABLE)
    assert not metadata.close_snapshot(TABLE)
    delete(destination, 10, "b", tombstones=True)
    tombstones = "SELECT count(*) FROM cartridge_warp.tombstones"
    assert postgresql.execute(tombstones).fetchone() == (0,), "nothing is left behind"
    [table] = metadata.tables(TABLE.schema)
    assert (table.chunks, table.chunks_loaded, table.rows_loaded) == (2, 2, 7)


def test_a_dead_letter_is_kept_once(destination: PostgresDestination, postgresql: psycopg.Connection) -> None:
    letter = DeadLetter(
        ref=TABLE,
        key=key('o"dd\\'),
        operation=Operation.INSERT,
        position="A",
        ts=7,
        payload=b"\x00\xff",
        error_class="Poison",
        error="too long",
        traceback="",
        correlation_id="c",
    )
    for _ in range(2):
        with destination.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            transaction.park([letter])
    stored = postgresql.execute("SELECT key->>'text', payload, state FROM cartridge_warp.dead_letters").fetchall()
    assert stored == [('o"dd\\', b"\x00\xff", "open")]
    assert [table.open_letters for table in destination.metadata.tables(TABLE.schema)] == [1]


def _progress(destination: PostgresDestination) -> Sequence[object]:
    state = destination.metadata.schema(TABLE.schema)
    assert state is not None
    return state.checkpoint.position, state.checkpoint.ts, state.source_ts, state.start_ts


def test_a_checkpoint_never_goes_back_and_the_first_beginning_stands(
    destination: PostgresDestination, another: PostgresDestination
) -> None:
    assert destination.metadata.schema(TABLE.schema) is None
    destination.metadata.begin_schema(TABLE.schema, StreamPoint(position="B", ts=5), [], {})
    another.metadata.begin_schema(
        TABLE.schema, StreamPoint(position="C", ts=6), [SourceTable(name="t", documents=1, size_bytes=1)], {"t": 1}
    )
    assert _progress(destination) == ("B", 5, 5, 5)
    assert destination.metadata.tables(TABLE.schema) == []
    destination.metadata.save_checkpoint(TABLE.schema, StreamPoint(position="D", ts=8), 9)
    another.metadata.save_checkpoint(TABLE.schema, StreamPoint(position="C", ts=7), 8)
    assert _progress(destination) == ("D", 8, 9, 5)


def test_partitions_change_only_where_nobody_is_ahead(destination: PostgresDestination) -> None:
    metadata = destination.metadata
    metadata.add_tables(TABLE.schema, {TABLE.table: 2})
    metadata.add_tables(TABLE.schema, {TABLE.table: 7})
    assert metadata.partitions(TABLE.schema) == {TABLE.table: 2}
    with destination.transaction() as transaction:
        transaction.lock_partition(PARTITION)
        transaction.advance(PARTITION, "C", 5, 1)
    assert not metadata.repartition(TABLE, 2, 3, "B")
    assert not metadata.repartition(TABLE, 4, 3, "C")
    assert metadata.partitions(TABLE.schema) == {TABLE.table: 2}
    assert metadata.repartition(TABLE, 2, 3, "C")
    assert metadata.partitions(TABLE.schema) == {TABLE.table: 3}
    assert metadata.markers(TABLE.schema) == {Partition(*TABLE, number, 3): "C" for number in range(3)}
    with destination.transaction() as transaction:
        state = transaction.lock_partition(PARTITION)
    assert state is not None
    assert (state.position, state.partitions) == ("C", 3)
