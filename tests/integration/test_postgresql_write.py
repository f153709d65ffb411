"""The one write path of a real PostgreSQL: guards, tombstones and who waits for whom, poison, cut connections."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.integration.tables import PARTITION, TABLE, delete, fitted, key, load, open_snapshot, save
from tests.support.wait import eventually
from warp.change import Delete, Record, Write
from warp.destinations.base import Written
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Poison, ServerUnreachable, Transient
from workers.write import write_all


def content(destination: PostgresDestination) -> dict[str, Record]:
    """All rows of the table, by the text of their key."""
    keys = [each for batch in destination.keys(TABLE) for each in batch]
    return {each.text: dict(row) for each, row in destination.rows(TABLE, keys).items()}  # type: ignore[arg-type]


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
