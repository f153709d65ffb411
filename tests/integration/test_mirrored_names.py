"""Odd names and wide documents on their whole way: real MongoDB, stream or first load, real PostgreSQL, verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.integration.tables import columns
from tests.integration.test_postgresql_names import ODD_NAMES
from tests.support import raw_documents
from tests.support.pipeline import Pipeline
from tests.unit.raw_bson import document as raw_document
from warp.change import TableRef
from warp.config import load_config
from warp.connections import open_connections
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
LARGEST: dict[str, Document] = {
    "90,000 fields": {f"f{number}": number for number in range(90_000)},
    "16 MB": {"text": "ä" * (2**23 - 100), "n": 1},
}
COLLECTIONS = (
    'x"; DROP TABLE x; --',
    "%s",
    "Case",
    "case",
    "dots.and.more",
    "a\\b\tc",
    "orders_pkey",
    "ä" * 40,
    "x" * 64,
    "x" * 63 + "y",
)
DATABASES = (
    "Größe",
    "pg_logs",
    "_pg_logs",
    "information_schema",
    "cartridge_warp",
    "';DROP--",
    "%s",
    "x" * 63,
    "ä" * 31,
)
"""MongoDB takes no spaces, dots, dollars, slashes and double quotes here."""
_ONE, _TWO = (0x10, b"\1\0\0\0"), (0x10, b"\2\0\0\0")
UNREADABLE = [(b"\xff", _ONE), (b"\xed\xa0\x80", _ONE), (b"twice", _ONE), (b"twice", _TWO), (b"\xff", _TWO)]
"""Names that are not UTF-8, and names that a document has twice."""


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
    assert len(columns(postgresql, TableRef(database.name, collection))) > min(len(document), len(FIELDS))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_as_first_load(name: str, collection: str, pipeline: Pipeline, database: Database[Document]) -> None:
    document = DOCUMENTS[name]
    database[collection].insert_many([{"_id": 1, **document}, {"_id": 2, "n": 1}])
    pipeline.load(collection)
    assert_identical(pipeline, 2)


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_as_insert_and_as_update(name: str, pipeline: Pipeline, database: Database[Document]) -> None:
    document = LARGEST[name]
    pipeline.tailer.tick()
    database["orders"].insert_one({"_id": 1, **document})
    pipeline.follow("orders", 1)
    database["orders"].update_one({"_id": 1}, {"$inc": {next(reversed(document)): 1}})
    pipeline.follow("orders", 1)
    assert_identical(pipeline, 1)


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_as_first_load(name: str, pipeline: Pipeline, database: Database[Document]) -> None:
    database["orders"].insert_one({"_id": 1, **LARGEST[name]})
    pipeline.load("orders")
    assert_identical(pipeline, 1)


@pytest.mark.parametrize("way", ["insert", "update", "load"])
def test_names_that_no_driver_writes(
    way: str, collection: str, pipeline: Pipeline, database: Database[Document]
) -> None:
    documents = [raw_document([(b"_id", key), *UNREADABLE]) for key in (_ONE, _TWO)]
    if way != "load":
        pipeline.tailer.tick()
    assert raw_documents.insert(database, collection, documents) == {}
    if way == "load":
        pipeline.load(collection)
    else:
        if way == "update":
            database[collection].update_many({}, {"$set": {"touched": 1}})
        pipeline.follow(collection, 4 if way == "update" else 2)
    assert_identical(pipeline, 2)


def insert_update_and_load(pipeline: Pipeline, database: Database[Document], collections: Sequence[str]) -> None:
    """Each collection is loaded with one document, of which there are two then, one updated; none differs."""
    for name in collections:
        database[name].insert_one({"_id": 1, "n": 1})
    for name in collections:
        pipeline.load(name)
    for name in collections:
        database[name].insert_one({"_id": 2, "n": 1})
        database[name].update_one({"_id": 1}, {"$set": {"n": 2}})
        pipeline.follow(name, 2)
    source, destination = pipeline.connections.source, pipeline.connections.destination
    results = verify_schema(source, destination, pipeline.schema, patience=0)
    assert {result.table: result.target_rows for result in results} == dict.fromkeys(collections, 2)
    assert all(result.identical for result in results)


def test_collections_of_odd_names(pipeline: Pipeline, database: Database[Document]) -> None:
    insert_update_and_load(pipeline, database, COLLECTIONS)


def test_databases_of_odd_names(config_file: ConfigFile, mongo_uri: str, postgresql: psycopg.Connection) -> None:
    connections = open_connections(load_config(config_file(*DATABASES), {}))
    with MongoClient[Document](mongo_uri) as client:
        try:
            for name in DATABASES:
                pipeline = Pipeline(connections, name)
                insert_update_and_load(pipeline, client[name], ["orders"])
                pipeline.tailer.close()
        finally:
            connections.close()
            for name in DATABASES:
                client.drop_database(name)
    found = postgresql.execute(
        "SELECT count(DISTINCT table_schema) FROM information_schema.tables WHERE table_name = %s", ["orders"]
    )
    assert found.fetchone() == (len(DATABASES),)
