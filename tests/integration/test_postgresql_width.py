"""More than a table or a row of a real PostgreSQL takes: many fields, wide rows, large documents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from tests.integration.tables import TABLE, columns, key
from warp.change import Record, Write
from warp.destinations.base import Written
from warp.destinations.postgresql.destination import PostgresDestination
from warp.evolution.infer import Seen
from warp.evolution.rules import MAX_COLUMNS, MOST_COLUMNS, Rules
from warp.evolution.shape import Shape
from warp.sources.base import StoredJson
from warp.testing.documents import JsonStructured
from warp.values import Opaque, Value, exact_json

WRITES = ("insert", "update", "load")
VALUES: dict[str, Value] = {
    "int": 2**62,
    "double": 1 / 3,
    "date": datetime(2020, 2, 3, 4, 5, 6, 789000),
    "uuid": UUID(int=2**127 + 1),
    "bool": True,
    "short text": "12345",
    "text of 23 bytes": "x" * 23,
    "text that a page has to hold whole": "ä" * 10 + "123",
    "objectid": "0123456789abcdef01234567",
    "decimal": Decimal("12345678901234567890.12345678901234567890"),
    "binary": bytes(23),
    "object": JsonStructured('{"a": [1, 2]}'),
    "long text": "abc" * 1000,
}


def evolved(destination: PostgresDestination, *records: Record, max_columns: int, soft: bool = False) -> Shape:
    """The table's shape, which takes those records."""
    seen = Seen()
    seen.add_keys([key("any")])
    seen.add_records(records, destination.tables(TABLE.schema).get(TABLE.table))
    return destination.evolve(TABLE, seen, Rules(soft_delete=soft, max_columns=max_columns), cause="test").after


def put(destination: PostgresDestination, shape: Shape, write: str, record: Record) -> Written:
    """Write a document as the first thing that comes, as what replaces a small one, or as a row of a first load."""
    with destination.transaction() as transaction:
        if write == "update":
            transaction.upsert(TABLE, shape, [Write(key("a"), 1, dict.fromkeys(record, "was"))])
        act = transaction.load if write == "load" else transaction.upsert
        return act(TABLE, shape, [Write(key("a"), 2, record), Write(key("b"), 2, {"n": 1})])


def assert_whole(destination: PostgresDestination, shape: Shape, record: Record) -> dict[str, Value | StoredJson]:
    """Every value is in its column, or exactly in `_extra`; the row."""
    row = dict(destination.rows(TABLE, [key("a")])[key("a")])
    assert row.keys() == record.keys()
    for name, value in record.items():
        assert _plain(row[name]) in (_plain(value), orjson.loads(exact_json(value))), name
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, JsonStructured | StoredJson):
        return orjson.loads(value.text)
    return value


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("kind", VALUES)
def test_a_row_of_as_many_columns_as_there_can_be(kind: str, write: str, destination: PostgresDestination) -> None:
    """Without a rule, PostgreSQL refuses it: the row is too big."""
    record: Record = {f"f{number}": VALUES[kind] for number in range(MOST_COLUMNS)}
    shape = evolved(destination, record, max_columns=MOST_COLUMNS, soft=True)
    written = put(destination, shape, write, record)
    assert written.upserted == 2
    assert (len(shape.columns), {reason for _, reason in written.kept} <= {"row_too_wide", "no_column"}) == (1590, True)
    assert_whole(destination, shape, record)


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_row_of_as_many_columns_as_there_are_by_default(kind: str, destination: PostgresDestination) -> None:
    record: Record = {f"f{number}": VALUES[kind] for number in range(MAX_COLUMNS)}
    shape = evolved(destination, record, max_columns=MAX_COLUMNS)
    put(destination, shape, "insert", record)
    assert_whole(destination, shape, record)


@pytest.mark.parametrize("write", WRITES)
def test_a_row_of_all_kinds_in_turn(write: str, destination: PostgresDestination) -> None:
    kinds = list(VALUES.values())
    record: Record = {f"f{number}": kinds[number % len(kinds)] for number in range(MOST_COLUMNS)}
    shape = evolved(destination, record, max_columns=MOST_COLUMNS, soft=True)
    written = put(destination, shape, write, record)
    row = assert_whole(destination, shape, record)
    kept = [name for name, value in row.items() if isinstance(value, StoredJson) and "$" in value.text]
    assert kept
    assert {name for name, _ in written.kept} > set(kept[:1])


def test_texts_and_numbers_in_turn_pad_most(destination: PostgresDestination) -> None:
    record: Record = {f"f{number}": "x" if number % 2 else number for number in range(MOST_COLUMNS)}
    shape = evolved(destination, record, max_columns=MOST_COLUMNS, soft=True)
    written = put(destination, shape, "insert", record)
    assert len(written.kept) > 600
    assert_whole(destination, shape, record)


def test_a_page_is_used_as_far_as_it_goes(destination: PostgresDestination, postgresql: psycopg.Connection) -> None:
    record: Record = {f"f{number}": number for number in range(MOST_COLUMNS)}
    shape = evolved(destination, record, max_columns=MOST_COLUMNS)
    put(destination, shape, "insert", record)
    found = postgresql.execute('SELECT max(pg_column_size(t)) FROM "shop"."orders" AS t').fetchone()
    assert found is not None
    assert found[0] > 7900


@pytest.mark.parametrize("write", WRITES)
def test_a_document_of_90_000_fields(
    write: str, destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    record: Record = {f"field {number}": number for number in range(90_000)}
    shape = evolved(destination, record, max_columns=MAX_COLUMNS)
    assert list(shape.columns) == [f"field {number}" for number in range(MAX_COLUMNS)], "the first that come"
    written = put(destination, shape, write, record)
    assert written.upserted == 2
    row = assert_whole(destination, shape, record)
    assert sum(isinstance(value, StoredJson) for value in row.values()) == 90_000 - MAX_COLUMNS
    assert len(columns(postgresql)) == MAX_COLUMNS + 3
    assert evolved(destination, record, {"another": 1}, max_columns=MAX_COLUMNS) == shape


SIZE = 16 * 2**20 - 100
"""Bytes of a document: MongoDB takes no larger one."""


def numbers() -> str:
    """An array of a document's size, as Extended JSON."""
    return "[" + ",".join(['{"$numberInt":"7"}'] * (SIZE // 13)) + "]"


LARGE: dict[str, Callable[[], Record]] = {
    "text": lambda: {"text": "ä" * (SIZE // 2)},
    "control characters": lambda: {"text": "\x01" * SIZE},
    "binary": lambda: {"binary": bytes(SIZE)},
    "array": lambda: {"array": JsonStructured(numbers())},
    "in _extra": lambda: {"odd": Opaque(numbers().encode(), "odd")},
    "texts in _extra": lambda: {f"t{number}": "x" * (SIZE // 600) for number in range(600)},
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("what", LARGE)
def test_a_document_of_16_mb(what: str, write: str, destination: PostgresDestination) -> None:
    record = LARGE[what]()
    shape = evolved(destination, record, max_columns=MAX_COLUMNS)
    assert put(destination, shape, write, record).upserted == 2
    assert_whole(destination, shape, record)


def test_a_limit_that_is_raised_gives_columns_to_what_comes_then(destination: PostgresDestination) -> None:
    before = evolved(destination, {"a": 1, "b": 2, "c": 3}, max_columns=2)
    put(destination, before, "insert", {"a": 1, "b": 2, "c": 3})
    after = evolved(destination, {"c": 3}, max_columns=3)
    assert (list(before.columns), list(after.columns)) == (["a", "b"], ["a", "b", "c"])
    assert destination.rows(TABLE, [key("a")])[key("a")] == {
        "a": 1,
        "b": 2,
        "c": StoredJson('{"$numberLong":"3"}'),
    }
    assert evolved(destination, {"d": 3}, max_columns=1) == after
