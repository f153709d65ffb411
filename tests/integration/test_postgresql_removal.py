"""Rows and tables that go in a real PostgreSQL: odd names, views that rest on them, tables dropped by hand."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg import sql

from tests.integration.tables import TABLE, columns, fitted, key, save, writes_of
from tests.support.wait import eventually
from warp.change import Delete, Partition, TableRef
from warp.destinations.base import OnDrop
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Fatal
from warp.sources.base import Chunk, SourceTable, StreamPoint

ODD = TableRef("shop", 'half %s "off" 50%')


def _begin(destination: PostgresDestination, *tables: TableRef) -> None:
    found = [SourceTable(name=ref.table, documents=9, size_bytes=9) for ref in tables]
    partitions = {ref.table: 1 for ref in tables}
    destination.metadata.begin_schema("shop", StreamPoint(position="A", ts=1), found, partitions)


def _drop(destination: PostgresDestination, ts: int, on_drop: OnDrop, ref: TableRef = TABLE) -> bool:
    return destination.drop(ref, ts, on_drop, soft=False, cause="drop")


def _audited(postgresql: psycopg.Connection) -> list[dict[str, object]]:
    found = postgresql.execute("SELECT detail FROM cartridge_warp.audit_log ORDER BY id")
    return [detail for (detail,) in found]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("on_drop", OnDrop)
def test_names_with_per_cent_signs(destination: PostgresDestination, on_drop: OnDrop, soft: bool) -> None:
    _begin(destination, ODD)
    shape = fitted(destination, {"v": 1}, ref=ODD)
    for ts in (10, 30):
        with destination.transaction() as transaction:
            transaction.upsert(ODD, shape, writes_of(ts, {f"as of {ts}": {"v": 1}}))
    assert destination.drop(ODD, 20, on_drop, soft=soft, cause="drop")
    assert destination.count(ODD) == 1
    assert destination.kept(ODD) == (1 if on_drop is OnDrop.KEEP else 0)
    assert destination.metadata.replace_table(ODD, 40, 1, "rename")
    destination.metadata.add_chunks(ODD, [Chunk(lower=None, upper=None)])
    with destination.transaction() as transaction:
        [chunk] = destination.metadata.missing_chunks(ODD, 1)
        transaction.finish_chunk(ODD, chunk)
    assert destination.sweep(ODD, 10, soft=soft) == 1
    assert destination.count(ODD) == 0


def test_a_table_on_which_views_rest_stays_empty(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    _begin(destination, TABLE)
    save(destination, 10, a={"v": 1}, b={"v": 2})
    postgresql.execute("CREATE VIEW report AS SELECT v FROM shop.orders")
    assert _drop(destination, 20, OnDrop.DROP)
    assert postgresql.execute("SELECT * FROM report").fetchall() == []
    save(destination, 30, a={"v": 3})
    assert postgresql.execute("SELECT * FROM report").fetchall() == [(3,)]
    [detail] = _audited(postgresql)
    assert detail["rows"] == 2


@pytest.mark.parametrize("on_drop", OnDrop)
def test_a_table_that_was_dropped_by_hand_holds_nobody_up(
    destination: PostgresDestination, postgresql: psycopg.Connection, on_drop: OnDrop
) -> None:
    _begin(destination, TABLE)
    save(destination, 10, a={"v": 1})
    postgresql.execute("DROP TABLE shop.orders")
    assert _drop(destination, 20, on_drop)
    if on_drop is OnDrop.DROP:
        save(destination, 30, b={"v": "text"})
        assert columns(postgresql)["v"] == "text"
    else:
        with pytest.raises(Fatal), destination.transaction() as transaction:
            transaction.shape(TABLE)


def test_a_table_that_somebody_made_where_the_dropped_one_was_is_left_alone(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    _begin(destination, TABLE)
    save(another, 10, a={"v": 1})
    assert _drop(destination, 20, OnDrop.DROP)
    postgresql.execute("CREATE TABLE shop.orders (mine text)")
    with another.transaction() as transaction:
        assert transaction.shape(TABLE) is None
    with pytest.raises(Fatal, match="did not make"):
        save(another, 30, a={"v": 1})
    assert columns(postgresql) == {"mine": "text"}


def test_a_table_that_comes_again_has_the_types_of_what_comes(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    _begin(destination, TABLE)
    save(destination, 10, a={"v": 1, "gone": True})
    assert columns(postgresql)["v"] == "bigint"
    assert _drop(destination, 20, OnDrop.DROP)
    assert columns(postgresql) == {}
    save(destination, 30, a={"v": "text"})
    assert columns(postgresql)["v"] == "text"
    assert "gone" not in columns(postgresql)
    assert destination.rows(TABLE, [key("a")]) == {key("a"): {"v": "text"}}


@pytest.mark.parametrize("on_drop", OnDrop)
def test_a_step_that_leaves_tombstones_while_a_drop_waits_for_it(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection, on_drop: OnDrop
) -> None:
    """They take their locks in one order."""
    _begin(destination, TABLE)
    save(destination, 10, a={"v": 1})
    shape, partition = destination.tables("shop")["orders"], Partition(*TABLE, 0, 1)
    with destination.transaction() as transaction:
        assert transaction.lock_partition(partition)
    dropped: list[bool] = []
    thread = threading.Thread(target=lambda: dropped.append(_drop(another, 20, on_drop)))
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with destination.transaction() as transaction:
        assert transaction.lock_partition(partition)
        thread.start()
        eventually(lambda: postgresql.execute(waiting).rowcount, what="the drop waits")
        transaction.delete(TABLE, shape, [Delete(key("b"), 15)], soft=False, tombstones=True)
    thread.join()
    assert dropped == [True]


def test_a_drop_says_in_the_audit_log_what_it_did(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    _begin(destination, TABLE)
    save(destination, 10, a={"v": 1}, b={"v": 1})
    assert _drop(destination, 20, OnDrop.TRUNCATE)
    assert _audited(postgresql) == [{"cause": "drop", "ts": 20, "rows": 2}]
    found = postgresql.execute(sql.SQL("SELECT schema_name, table_name, action FROM cartridge_warp.audit_log"))
    assert found.fetchall() == [("shop", "orders", "source table dropped: truncate")]
