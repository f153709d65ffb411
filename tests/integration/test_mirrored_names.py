"""Odd names and wide documents on their whole way: real MongoDB, stream or first load, real PostgreSQL, verify."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from pymongo.database import Database

from tests.integration.tables import columns
from tests.integration.test_postgresql_names import ODD_NAMES
from tests.support.pipeline import Pipeline
from warp.change import TableRef
from warp.evolution.naming import RESERVED, column_name
from warp.verify import verify_schema

Document = dict[str, Any]

FIELDS = [*ODD_NAMES, *sorted(RESERVED - {"_id"}), "", "x" * 64, "x" * 63 + "y", "ä" * 40, column_name("ctid", ())]
DOCUMENTS: dict[str, Document] = {
    "odd names": {name: number for number, name in enumerate(FIELDS)},
    "odd names that do not fit": {name: [name, number] for number, name in enumerate(FIELDS)},
    "short texts, too many for a row": {f"f{number}": "x" * 20 for number in range(600)},
    "numbers, too many for the columns": {f"f{number}": number / 3 for number in range(2000)},
}


@pytest.fixture
def collection() -> str:
    """SQL, as a name."""
    return 'x"; DROP TABLE x; --'


def assert_identical(pipeline: Pipeline, documents: int) -> None:
    """Source and target agree, at once, on so many documents."""
    source, destination = pipeline.connections.source, pipeline.connections.destination
    [result] = verify_schema(source, destination, pipeline.schema, patience=0)
    assert (result.identical, result.source_documents) == (True, documents), result.examples
    assert destination.metadata.tables(pipeline.schema)[0].open_letters == 0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_as_insert_and_as_update(
    name: str, collection: str, pipeline: Pipeline, database: Database[Document], postgresql: psycopg.Connection
) -> None:
    document = DOCUMENTS[name]
    pipeline.tailer.tick()
    database[collection].insert_many([{"_id": 1, **document}, {"_id": 2, "n": 1}, {"_id": 3, **document}])
    pipeline.follow(collection, 3)
    assert_identical(pipeline, 3)
    # As an expression: a plain replacement may not have names with a dollar.
    database[collection].update_one({"_id": 2}, [{"$replaceWith": {"$literal": {"_id": 2, **document}}}])
    database[collection].update_one({"_id": 1}, {"$set": {"touched": 1}})
    database[collection].update_one({"_id": 3}, {"$unset": {next(iter(document)): ""}})
    pipeline.follow(collection, 3)
    assert_identical(pipeline, 3)
    assert len(columns(postgresql, TableRef(database.name, collection))) > len(FIELDS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_as_first_load(name: str, collection: str, pipeline: Pipeline, database: Database[Document]) -> None:
    document = DOCUMENTS[name]
    database[collection].insert_many([{"_id": 1, **document}, {"_id": 2, "n": 1}])
    pipeline.load(collection)
    assert_identical(pipeline, 2)
