"""The saved resume token: never past what is applied, and never left behind by a source that is idle."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.wait import eventually


def test_invariant_5_the_saved_token_never_passes_a_change_that_is_not_applied(
    endpoints: Endpoints,
    schema: str,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=11)
    database["quiet"].insert_one({"_id": 0})
    mirror.start().wait_caught_up()
    worker = mirror.workers[0]
    worker.freeze()
    with database["quiet"].watch() as changes:
        database["quiet"].insert_one({"_id": 1})
        unapplied = changes.next()["_id"]["_data"]
    writer.start()
    eventually(lambda: mirror.backlog() > 500)
    mirror.checkpoint_saves(2)
    assert "" < mirror.checkpoint() < unapplied
    mirror.tailer.terminate()
    assert "" < mirror.checkpoint() < unapplied
    mirror.tailer.restart()
    mirror.checkpoint_saves(2)
    assert "" < mirror.checkpoint() < unapplied
    worker.thaw()
    eventually(lambda: mirror.checkpoint() >= unapplied)
    mirror.end_identical(writer)


def test_the_saved_token_of_an_idle_schema_keeps_up(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    database["quiet"].insert_one({"_id": 0})
    mirror = make_mirror(endpoints, schema).start()
    mirror.wait_caught_up()
    with MongoClient[dict[str, Any]](endpoints.mongo_uri) as client:
        elsewhere = client[f"{schema}_elsewhere"]
        elsewhere["noise"].insert_one({})
        mirror.wait_caught_up()
        client.drop_database(elsewhere)
