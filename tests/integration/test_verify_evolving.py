"""`verify` over a table that evolves meanwhile: rows are read by the shape that they have at that moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

import psycopg
import pytest
from pymongo.database import Database

from tests.integration.tables import TABLE, columns, fitted, key
from tests.support.pipeline import Pipeline
from warp.change import Key, KeyKind, TableRef, Write
from warp.destinations.base import OnDrop
from warp.destinations.postgresql import ddl, read_back
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Transient
from warp.evolution.rules import Conflict
from warp.evolution.shape import Shape
from warp.metadata import registry
from warp.sources.base import SourceTable, StreamPoint
from warp.verify import verify_schema
from warp.verify.settle import POLL_SECONDS

Documents = Database[dict[str, Any]]
EVOLVES: dict[str, tuple[Callable[[Documents], object], str, str]] = {
    "a date": (lambda database: database.orders.update_one({"_id": 0}, {"$set": {"d": "x"}}), "d", "text"),
    "a column": (lambda database: database.orders.update_one({"_id": 0}, {"$set": {"new": True}}), "new", "boolean"),
    "the key": (lambda database: database.orders.insert_one({"_id": "a", "n": 1}), "_id", "text"),
}
"""A change of a document, and the column that has another type once it is applied."""


@pytest.mark.parametrize("while_it", ["walks", "looks again"])
@pytest.mark.parametrize("what", EVOLVES)
def test_a_table_that_evolves_meanwhile_is_identical(
    what: str,
    while_it: str,
    pipeline: Pipeline,
    database: Documents,
    postgresql: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warp.verify.walk.CHUNK", 2)
    pipeline.settings = replace(pipeline.settings, conflict=Conflict.TEXT)
    database.orders.insert_many({"_id": number, "d": datetime(2020, 1, 1), "n": 1} for number in range(4))
    pipeline.load("orders")
    change, column, kind = EVOLVES[what]
    ref = TableRef(database.name, "orders")
    assert columns(postgresql, ref).get(column) != kind
    if while_it == "looks again":
        change(database)
    applied: list[str] = []

    def follow() -> None:
        if not applied:
            applied.append(what)
            pipeline.follow("orders", 1)

    def progress(_table: str, compared: int) -> None:
        assert compared >= 2
        if while_it == "walks" and not applied:
            change(database)
            follow()

    def wait(seconds: float) -> None:
        if seconds < POLL_SECONDS:  # between a document and its row
            follow()
        pipeline.tailer.tick()

    seconds = count()
    [result] = verify_schema(
        pipeline.connections.source,
        pipeline.connections.destination,
        pipeline.schema,
        clock=lambda: float(next(seconds)),
        wait=wait,
        progress=progress,
    )
    assert result.identical, result
    assert columns(postgresql, ref)[column] == kind
    assert applied


def _widen(destination: PostgresDestination) -> None:
    fitted(destination, {"n": 1}, keys=(key("a"),))


def _drop(destination: PostgresDestination) -> None:
    assert destination.drop(TABLE, 20, OnDrop.DROP, soft=False, cause="drop")


NUMBER = Key(KeyKind.INT, "1")


@pytest.mark.parametrize(("act", "left"), [(_widen, {NUMBER: {"n": 1}}), (_drop, {})], ids=["widened", "dropped"])
def test_a_table_that_is_altered_just_before_it_stands_still(
    act: Callable[[PostgresDestination], None],
    left: dict[Key, object],
    numbered: PostgresDestination,
    another: PostgresDestination,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    current, asked = registry.current, count()

    def then_altered(connection: psycopg.Connection, ref: TableRef) -> Shape | None:
        shape = current(connection, ref)
        if not next(asked):
            act(another)
        return shape

    monkeypatch.setattr(registry, "current", then_altered)
    assert numbered.rows(TABLE, [NUMBER, key("a")]) == left
    assert (numbered.count(TABLE), [*numbered.keys(TABLE)]) == (len(left), [[*left]] if left else [])


def test_a_table_stands_still_while_its_rows_are_read(
    numbered: PostgresDestination, another: PostgresDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddl, "LOCK_WAIT_MS", 100)
    monkeypatch.setattr(read_back, "BATCH", 1)
    rows, refused = read_back.rows, []

    def altered_first(connection: psycopg.Connection, ref: TableRef, shape: Shape, keys: list[Key]) -> object:
        with pytest.raises(Transient) as raised:
            _widen(another)
        refused.append(raised.value)
        return rows(connection, ref, shape, keys)

    monkeypatch.setattr(read_back, "rows", altered_first)
    assert numbered.rows(TABLE, [NUMBER, key("a")]) == {NUMBER: {"n": 1}}
    assert refused
    lists = numbered.keys(TABLE)
    assert next(lists) == [NUMBER]
    with pytest.raises(Transient):
        _widen(another)
    assert list(lists) == []
    _widen(another)
    assert list(numbered.keys(TABLE)) == [[NUMBER]]


@pytest.fixture
def numbered(destination: PostgresDestination) -> PostgresDestination:
    """A destination with a table of one document, whose key is a number."""
    found = [SourceTable(name=TABLE.table, documents=1, size_bytes=1)]
    destination.metadata.begin_schema(TABLE.schema, StreamPoint(position="A", ts=1), found, {TABLE.table: 1})
    shape = fitted(destination, {"n": 1}, keys=(NUMBER,))
    with destination.transaction() as transaction:
        transaction.upsert(TABLE, shape, [Write(NUMBER, 1, {"n": 1})])
    return destination
