"""Whole collections at the source: dropped and made again, renamed over another, written by `$out`.

They lie beside the writer's, which knows nothing of them; `verify` compares them with the others at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient, ReplaceOne
from pymongo.database import Database

from tests.chaos.attempts import MAJORITY
from tests.chaos.faults.fault import Fault, one_of
from tests.chaos.rig import SCHEMAS, Rig
from tests.chaos.workload import APP_NAME

_SIDE, _DRAFTS, _REPORT = "side", "side.drafts", "side.report"


@contextmanager
def _database(rig: Rig, schema: str) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](rig.endpoints.mongo_uri, appname=APP_NAME) as client:
        yield client.get_database(schema, write_concern=MAJORITY)


def _fill(database: Database[dict[str, Any]], name: str, documents: int, value: Any) -> None:
    """So many documents, new or replaced; doing it again after an error changes nothing."""
    keys = range(documents)
    database[name].bulk_write([ReplaceOne({"_id": key}, {"_id": key, "v": value}, upsert=True) for key in keys])


def _drop(rig: Rig, schema: str, documents: int) -> str:
    with _database(rig, schema) as database:
        _fill(database, _SIDE, documents, 1)
        database.drop_collection(_SIDE)
        _fill(database, _SIDE, documents // 2, "of another type")
    return f"{schema}.{_SIDE}"


def _rename(rig: Rig, schema: str, documents: int) -> str:
    with _database(rig, schema) as database:
        _fill(database, _SIDE, documents, "to be replaced")
        _fill(database, _DRAFTS, documents // 2, "a draft")
        database[_DRAFTS].rename(_SIDE, dropTarget=True)
        database[_SIDE].delete_one({"_id": 0})
    return f"{schema}.{_DRAFTS} over {schema}.{_SIDE}"


def _out(rig: Rig, schema: str, documents: int) -> str:
    with _database(rig, schema) as database:
        _fill(database, _SIDE, documents, 1)
        for of in (2, 3):
            database[_SIDE].aggregate([{"$match": {"_id": {"$mod": [of, 0]}}}, {"$out": _REPORT}])
    return f"{schema}.{_REPORT}"


_PARAMETERS = {"schema": one_of(*SCHEMAS), "documents": one_of(10, 1_000, 10_000)}
FAULTS = (
    Fault("source-drop", _drop, _PARAMETERS),
    Fault("source-rename", _rename, _PARAMETERS),
    Fault("source-out", _out, _PARAMETERS),
)
