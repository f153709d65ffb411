"""Keys of every type on their whole way: alone in a table, and as the first of a table with keys of all other types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from pymongo.database import Database

from tests.integration.tables import columns
from tests.integration.test_mongodb_keys import APART, EQUAL
from tests.support import raw_documents
from tests.support.pipeline import Pipeline
from tests.unit.raw_bson import document, string
from warp.change import TableRef
from warp.verify import verify_schema

Raw = tuple[int, bytes]
WAYS = ("insert", "update", "load")
FIRST: dict[str, tuple[Raw, str]] = {
    "int": ((0x10, b"\1\0\0\0"), "bigint"),
    "long": ((0x12, b"\1\0\0\0\0\0\0\1"), "bigint"),
    "whole double": ((0x01, b"\0\0\0\0\0\0\xf0?"), "bigint"),
    "string": ((0x02, string(b"b")), "text"),
    "symbol": ((0x0E, string(b"b")), "text"),
    "objectid": ((0x07, bytes(range(1, 13))), "text"),
    "uuid": ((0x05, b"\x10\0\0\0\4" + bytes(range(16))), "uuid"),
    "uuid of the old kind": ((0x05, b"\x10\0\0\0\3" + bytes(range(16))), "text"),
    "double": ((0x01, b"\0\0\0\0\0\0\xf8?"), "text"),
    "object": ((0x03, document([(b"b", (0x0A, b"")), (b"a", (0x06, b""))])), "text"),
}
"""Keys that come first, and the type of their column while they are alone in it."""
MIXED = ("int", "symbol", "objectid", "uuid", "object")
"""Those of them to which keys of all other types come later, none of which MongoDB holds equal to the first."""


def arrive(pipeline: Pipeline, database: Database[dict[str, Any]], way: str, table: str, keys: Sequence[Raw]) -> None:
    """Documents of those keys come."""
    documents = [document([(b"_id", key), (b"n", (0x10, b"\1\0\0\0"))]) for key in keys]
    assert raw_documents.insert(database, table, documents) == {}
    if way == "update":
        pipeline.follow(table, len(keys))
        database[table].update_many({}, {"$set": {"n": 2}})
    pipeline.follow(table, len(keys))


def assert_identical(pipeline: Pipeline, documents: dict[str, int]) -> None:
    """Not one document differs in any table, which have so many."""
    source, destination = pipeline.connections.source, pipeline.connections.destination
    results = verify_schema(source, destination, pipeline.schema, patience=0)
    assert all(result.identical for result in results), [result for result in results if not result.identical]
    assert {result.table: (result.source_documents, result.target_rows) for result in results} == {
        table: (number, number) for table, number in documents.items()
    }
    assert all(table.open_letters == 0 for table in destination.metadata.tables(pipeline.schema))


@pytest.mark.parametrize("way", WAYS)
def test_keys_alone_and_mixed(
    way: str, pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    if way == "load":
        for name, (key, _) in FIRST.items():
            raw_documents.insert(database, name, [document([(b"_id", key)])])
        for name in FIRST:
            pipeline.load(name)
    else:
        pipeline.tailer.tick()
        for name, (key, _) in FIRST.items():
            arrive(pipeline, database, way, name, [key])
    for name, (_, kind) in FIRST.items():
        assert columns(postgresql, TableRef(database.name, name))["_id"] == kind, name
    expected = dict.fromkeys(FIRST, 1)
    assert_identical(pipeline, expected)
    if way == "load":
        return
    for name in MIXED:
        arrive(pipeline, database, way, name, APART)
        assert columns(postgresql, TableRef(database.name, name))["_id"] == "text", name
        expected[name] += len(APART)
    assert_identical(pipeline, expected)


def test_all_kinds_in_one_first_load(pipeline: Pipeline, database: Database[dict[str, Any]]) -> None:
    raw_documents.insert(database, "mixed", [document([(b"_id", key)]) for key in APART])
    pipeline.load("mixed")
    assert_identical(pipeline, {"mixed": len(APART)})


@pytest.mark.parametrize("name", ["numbers", "zeros", "strings", "objects of numbers"])
def test_a_replace_by_a_key_that_mongodb_holds_equal_is_of_the_same_row(
    name: str, pipeline: Pipeline, database: Database[dict[str, Any]]
) -> None:
    pipeline.tailer.tick()
    first, *others = EQUAL[name]
    assert raw_documents.insert(database, "orders", [document([(b"_id", first)])]) == {}
    pipeline.follow("orders", 1)
    for number, key in enumerate(others):
        replacement = document([(b"_id", key), (b"n", (0x10, number.to_bytes(4, "little")))])
        assert raw_documents.replace(database, "orders", replacement) == 1
        pipeline.follow("orders", 1)
        assert_identical(pipeline, {"orders": 1})
