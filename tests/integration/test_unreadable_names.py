"""Collections whose names are not UTF-8: MongoDB streams no change of them, and nothing else may suffer from them."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from tests.support import raw_commands
from tests.support.pipeline import Pipeline
from warp.metadata.base import LoggedError
from warp.verify import TableResult, verify_schema

UNREADABLE = b"caf\xe9".decode("utf-8", "surrogateescape")
SHOWN = "$utf8:636166e9"


def insert(database: Database[dict[str, Any]], collection: str, *keys: int) -> None:
    """Insert documents of those keys."""
    raw_commands.run(database, {"insert": collection, "documents": [{"_id": key, "n": key} for key in keys]})


def errors(pipeline: Pipeline) -> list[LoggedError]:
    """What is in the schema's error log."""
    return pipeline.connections.destination.metadata.errors(pipeline.schema, 10)


def verified(pipeline: Pipeline) -> dict[str, TableResult]:
    """What `verify` finds at once, by table."""
    source, destination = pipeline.connections.source, pipeline.connections.destination
    return {result.table: result for result in verify_schema(source, destination, pipeline.schema, patience=0)}


def test_everything_else_of_the_schema_goes_on(pipeline: Pipeline, database: Database[dict[str, Any]]) -> None:
    insert(database, "orders", 1, 2)
    insert(database, UNREADABLE, 1, 2)
    pipeline.load("orders")
    insert(database, UNREADABLE, 3)
    insert(database, "orders", 3)
    pipeline.follow("orders", 1)
    results = verified(pipeline)
    assert results.keys() == {"orders", SHOWN}
    assert (results["orders"].identical, results["orders"].source_documents) == (True, 3)
    assert not results[SHOWN].identical
    [noted] = errors(pipeline)
    assert (noted.table, noted.error_class) == (SHOWN, "NotMirrored")
    assert r'"caf\xe9" is not UTF-8' in noted.error
    assert SHOWN in (noted.remedy or "")


def test_once_it_is_renamed_it_is_a_table_like_any_other(
    pipeline: Pipeline, database: Database[dict[str, Any]]
) -> None:
    insert(database, UNREADABLE, 1, 2)
    pipeline.tailer.tick()
    raw_commands.rename(database, UNREADABLE, "café")
    pipeline.load("café")
    insert(database, "café", 3)
    pipeline.follow("café", 1)
    [(name, result)] = verified(pipeline).items()
    assert (name, result.identical, result.source_documents) == ("café", True, 3)


def test_a_table_that_is_renamed_to_such_a_name_is_gone(pipeline: Pipeline, database: Database[dict[str, Any]]) -> None:
    insert(database, "orders", 1)
    pipeline.load("orders")
    raw_commands.rename(database, "orders", UNREADABLE)
    insert(database, "others", 1)
    pipeline.follow("others", 1)
    results = verified(pipeline)
    assert {name: result.identical for name, result in results.items()} == {
        "orders": True,
        "others": True,
        SHOWN: False,
    }
    assert results["orders"].target_rows == 0


def test_a_database_of_such_a_name_disturbs_no_other(pipeline: Pipeline, database: Database[dict[str, Any]]) -> None:
    """MongoDB opens no change stream in it, and no configuration can name it."""
    elsewhere = b"caf\xe9".decode("utf-8", "surrogateescape")
    try:
        raw_commands.run(database, {"insert": "orders", "documents": [{"_id": 1}]}, on=elsewhere)
        with pytest.raises(AssertionError, match="invalid UTF-8"):
            raw_commands.run(
                database, {"aggregate": 1, "pipeline": [{"$changeStream": {}}], "cursor": {}}, on=elsewhere
            )
        insert(database, "orders", 1)
        pipeline.load("orders")
        assert verified(pipeline)["orders"].identical
    finally:
        raw_commands.run(database, {"dropDatabase": 1}, on=elsewhere)
