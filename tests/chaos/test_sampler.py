"""The sampler sees what happens to rows, through restarts of PostgreSQL and locks, and has it judged."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.chaos.order import Order
from tests.chaos.sampler import Sampled, Sampler
from tests.support.wait import eventually

ENDED: dict[str, list[int]] = {"a": [5]}


@pytest.fixture
def target(pg_dsn: str) -> Iterator[psycopg.Connection]:
    """PostgreSQL with a table of one document in its third state."""
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE TABLE shop.orders (doc text, stamp bigint, is_deleted boolean)")
        connection.execute("INSERT INTO shop.orders VALUES ('a', 3, false)")
        yield connection


@pytest.fixture
def order(target: psycopg.Connection, pg_dsn: str) -> Iterator[Order]:
    """What is made of the table by a sampler that looks at it."""
    judge = Order(ENDED)
    tables = [Sampled("shop", "orders", soft=True, often=True), Sampled("shop", "not yet there")]
    with Sampler(pg_dsn, tables, judge) as sampler:
        _looks(judge, 3)
        yield judge
    assert sampler.failure is None


def _looks(order: Order, more: int) -> None:
    enough = order.looks + more
    eventually(lambda: order.looks >= enough, what="more looks")


def test_a_row_that_goes_back_is_seen(target: psycopg.Connection, order: Order) -> None:
    target.execute("UPDATE shop.orders SET stamp = 4")
    _looks(order, 2)
    assert order.violations == []
    target.execute("UPDATE shop.orders SET stamp = 2")
    eventually(lambda: order.violations)
    assert str(order.violations[0]) == "shop.orders: a went back: 4 before, 2 now"


def test_a_deleted_row_that_is_back_is_seen(target: psycopg.Connection, order: Order) -> None:
    target.execute("UPDATE shop.orders SET is_deleted = true")
    eventually(lambda: order.gone)
    target.execute("UPDATE shop.orders SET is_deleted = false")
    eventually(lambda: order.violations)
    assert str(order.violations[0]) == "shop.orders: a is back after its deletion: 5 before, 3 now"


def test_a_lost_row_is_seen(target: psycopg.Connection, order: Order) -> None:
    target.execute("UPDATE shop.orders SET stamp = 6")
    _looks(order, 2)
    target.execute("DELETE FROM shop.orders")
    eventually(lambda: order.violations)
    assert str(order.violations[0]) == "shop.orders: a is gone without a delete: 6 before, nothing now"


def test_it_goes_on_after_its_session_was_ended_and_a_table_locked(target: psycopg.Connection, order: Order) -> None:
    target.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    _looks(order, 2)
    with target.transaction():
        target.execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        eventually(lambda: target.execute(waiting).fetchone() != (0,), what="the sampler waiting")
    _looks(order, 2)
    assert order.violations == []
