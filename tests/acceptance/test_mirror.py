"""A plain mirror: first load, stream, several collections and schemas, soft deletion."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.wait import eventually
from tests.support.writer import COLLECTIONS


def test_two_schemas_are_loaded_and_followed(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    schemas = [schema, f"{schema}_Other"]
    writer = make_writer(endpoints, *schemas, seed=1)
    writer.preload(300)
    mirror = make_mirror(endpoints, *schemas)
    with MongoClient[dict[str, Any]](endpoints.mongo_uri) as client:
        try:
            writer.start()
            mirror.start()
            mirror.wait_caught_up()
            mirror.wait_applied(800)
            tables = mirror.end_identical(writer)
        finally:
            client.drop_database(schemas[1])
    assert tables.keys() == {(name, table) for name in schemas for table in COLLECTIONS}
    assert min(tables.values()) > 0
    assert min(writer.counts.values()) > 0


def test_soft_deletion_marks_rows_and_an_insert_brings_them_back(
    endpoints: Endpoints,
    schema: str,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    writer = make_writer(endpoints, schema, seed=2)
    writer.preload(200)
    database["shelf"].insert_many([{"_id": key, "name": str(key)} for key in range(3)])
    mirror = make_mirror(endpoints, {"name": schema, "deletion_strategy": "soft"}).start()
    writer.start()
    mirror.wait_caught_up()
    shelf = f'SELECT _id::int, is_deleted, deleted_at IS NULL, name FROM "{schema}".shelf ORDER BY _id'

    database["shelf"].delete_many({"_id": {"$in": [0, 1]}})
    deleted = [(0, True, False, "0"), (1, True, False, "1"), (2, False, True, "2")]
    eventually(lambda: mirror.query(shelf) == deleted, what="two rows marked as deleted")
    database["shelf"].insert_one({"_id": 1, "name": "again"})
    back = [(0, True, False, "0"), (1, False, True, "again"), (2, False, True, "2")]
    eventually(lambda: mirror.query(shelf) == back, what="one row alive again")

    mirror.wait_applied(500)
    tables = mirror.end_identical(writer)
    assert tables[schema, "shelf"] == 2
