"""The one write path of a real PostgreSQL: guards, tombstones and who waits for whom, markers, chunks, poison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.integration.tables import TABLE, fitted, key, load, save
from tests.support.wait import eventually
from warp.change import Delete, Operation, Partition, Record, Write
from warp.destinations.base import Written
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Poison, ServerUnreachable, Transient
from warp.metadata.base import DeadLetter
from warp.sources.base import Chunk, SourceTable, StreamPoint
from workers.write import write_all

PARTITION = Partition(*TABLE, number=0, of=2)


def content(destination: PostgresDestination) -> dict[str, Record]:
    """All rows of the table, by the text of their key."""
    shape = destination.tables(TABLE.schema)[TABLE.table]
    keys = [each for batch in destination.keys(TABLE, shape) for each in batch]
    return {each.text: dict(row) for each, row in destination.rows(TABLE, shape, keys).items()}  # type: ignore[arg-type]


def delete(destination: PostgresDestination, ts: int, *names: str, **options: bool) -> Written:
    """Delete documents, in a transaction."""
    options = {"soft": False, "tombstones": False, **options}
    shape = destination.tables(TABLE.schema)[TABLE.table]
    with destination.transaction() as transaction:
        return transaction.delete(TABLE, shape, [Delete(key(name), ts) for name in names], **options)


def test_a_write_wins_against_an_older_row_and_one_of_its_time(destination: PostgresDestination) -> None:
    assert save(destination, 10, a={"n": 1}) == Written(upserted=1)
    assert save(destination, 9, a={"n": 0}, b={"n": 5}) == Written(upserted=1, stale=1)
    assert content(destination) == {"a": {"n": 1}, "b": {"n": 5}}
    assert save(destination, 10, a={"n": 2}) == Written(upserted=1)
    assert save(destination, 11, b={"m": 6}) == Written(upserted=1)
    assert content(destination) == {"a": {"n": 2}, "b": {"m": 6}}


def test_a_snapshot_row_loses_against_a_row_of_its_time(destination: PostgresDestination) -> None:
    save(destination, 10, a={"n": 1})
    assert load(destination, 10, a={"n": 0}, b={"n": 2}) == Written(upserted=1, stale=1)
    assert content(destination) == {"a": {"n": 1}, "b": {"n": 2}}
    assert load(destination, 11, a={"n": 3}) == Written(upserted=1)


def test_a_delete_spares_a_newer_row(destination: PostgresDestination) -> None:
    save(destination, 10, a={"n": 1}, b={"n": 2})
    assert delete(destination, 9, "a", "b", "nobody") == Written(stale=3)
    assert delete(destination, 10, "a") == Written(deleted=1)
    assert content(destination) == {"b": {"n": 2}}


def test_applying_again_changes_nothing(destination: PostgresDestination, postgresql: psycopg.Connection) -> None:
    def everything() -> list[tuple[Any, ...]]:
        return postgresql.execute(f'SELECT t::text FROM "{TABLE.schema}"."{TABLE.table}" t ORDER BY 1').fetchall()

    def apply() -> None:
        save(destination, 10, a={"n": 1}, b={"n": 2}, c={"n": 3})
        save(destination, 11, b={"n": 4})
        delete(destination, 12, "c")

    apply()
    before = everything()
    load(destination, 5, a={"n": 0}, b={"n": 0})
    save(destination, 11, b={"n": 4})
    delete(destination, 12, "c")
    assert everything() == before


def open_snapshot(destination: PostgresDestination, *chunks: Chunk) -> None:
    """Begin the first load of the table."""
    orders = SourceTable(name=TABLE.table, documents=9, size_bytes=9)
    destination.metadata.begin_schema(TABLE.schema, StreamPoint(position="A", ts=1), [orders], {TABLE.table: 2})
    destination.metadata.add_chunks(TABLE, chunks)


def test_a_tombstone_keeps_a_chunk_from_undoing_a_delete(destination: PostgresDestination) -> None:
    open_snapshot(destination)
    save(destination, 5, seen={"n": 1})
    delete(destination, 20, "a", tombstones=True)
    delete(destination, 15, "a", tombstones=True)
    assert load(destination, 19, a={"n": 1}, b={"n": 2}) == Written(upserted=1, stale=1)
    assert load(destination, 20, a={"n": 1}) == Written(stale=1)
    assert load(destination, 21, a={"n": 3}) == Written(upserted=1)
    assert content(destination) == {"seen": {"n": 1}, "a": {"n": 3}, "b": {"n": 2}}


def test_a_load_waits_for_a_delete_that_has_not_committed(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    open_snapshot(destination)
    save(destination, 5, seen={"n": 1})
    shape = fitted(destination, {"n": 1})
    with ThreadPoolExecutor(1) as thread:
        with destination.transaction() as transaction:
            transaction.delete(TABLE, shape, [Delete(key("a"), 10)], soft=False, tombstones=True)
            loading = thread.submit(lambda: load(another, 7, a={"n": 1}))
            _until_one_waits(postgresql)
            assert not loading.done()
        assert loading.result(30) == Written(stale=1)
    assert content(destination) == {"seen": {"n": 1}}


def test_a_delete_waits_for_a_load_that_has_not_committed(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    open_snapshot(destination)
    save(destination, 5, seen={"n": 1})
    shape = fitted(destination, {"n": 1})
    with ThreadPoolExecutor(1) as thread:
        with destination.transaction() as transaction:
            transaction.load(TABLE, shape, [Write(key("a"), 7, {"n": 1})])
            deleting = thread.submit(lambda: delete(another, 10, "a", tombstones=True))
            _until_one_waits(postgresql)
            assert not deleting.done()
        assert deleting.result(30) == Written(deleted=1)
    assert content(destination) == {"seen": {"n": 1}}


def _until_one_waits(postgresql: psycopg.Connection) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    eventually(lambda: postgresql.execute(query).fetchone() == (1,), what="a wait for the advisory lock")


def test_two_loads_of_one_table_do_not_wait_for_each_other(
    destination: PostgresDestination, another: PostgresDestination
) -> None:
    shape = fitted(destination, {"n": 1})
    with destination.transaction() as one, another.transaction() as other:
        one.load(TABLE, shape, [Write(key("a"), 7, {"n": 1})])
        other.load(TABLE, shape, [Write(key("b"), 7, {"n": 2})])
    assert content(destination) == {"a": {"n": 1}, "b": {"n": 2}}


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


def test_rows_and_position_commit_together_or_not_at_all(destination: PostgresDestination) -> None:
    shape = fitted(destination, {"n": 1})

    def failing_step() -> None:
        with destination.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            transaction.upsert(TABLE, shape, [Write(key("a"), 7, {"n": 1})])
            transaction.advance(PARTITION, "B", 5, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_step()
    assert content(destination) == {}
    assert destination.metadata.markers(TABLE.schema) == {}
    save(destination, 8, a={"n": 2})
    assert content(destination) == {"a": {"n": 2}}


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
        one.shrink_chunk(TABLE, 1, b"3", 7)
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


def test_a_key_that_is_too_long_is_poison_and_the_transaction_goes_on(destination: PostgresDestination) -> None:
    shape = fitted(destination, {"n": 1})
    writes = [Write(key(name), 7, {"n": number}) for number, name in enumerate("abcdefg")]
    writes.insert(3, Write(key(os.urandom(4000).hex()), 7, {"n": 99}))
    with destination.transaction() as transaction:
        with pytest.raises(Poison) as poison:
            transaction.upsert(TABLE, shape, writes)
        written, refused = write_all(lambda some: transaction.upsert(TABLE, shape, some), writes)
    assert written == Written(upserted=7)
    assert [write.record for write, _ in refused] == [{"n": 99}]
    assert writes[3].key.text not in str(poison.value)
    assert sorted(content(destination)) == list("abcdefg")


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
        correlation_id="c",
    )
    for _ in range(2):
        with destination.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            transaction.park([letter])
    stored = postgresql.execute("SELECT key->>'text', payload, state FROM cartridge_warp.dead_letters").fetchall()
    assert stored == [('o"dd\\', b"\x00\xff", "open")]
    assert [table.open_letters for table in destination.metadata.tables(TABLE.schema)] == [1]


def test_a_cut_connection_is_told_and_the_next_transaction_works(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    save(destination, 7, a={"n": 1})
    shape = fitted(destination, {"n": 1})

    def cut_step() -> None:
        with destination.transaction() as transaction:
            transaction.upsert(TABLE, shape, [Write(key("b"), 7, {"n": 2})])
            postgresql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'cartridge-warp' AND datname = current_database()"
            )
            transaction.upsert(TABLE, shape, [Write(key("c"), 7, {"n": 3})])

    with pytest.raises((Transient, ServerUnreachable)):
        cut_step()
    save(destination, 8, d={"n": 4})
    assert content(destination) == {"a": {"n": 1}, "d": {"n": 4}}


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
