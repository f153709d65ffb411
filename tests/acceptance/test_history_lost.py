"""The oplog rolls over while the fleet is away: everything is read again by itself, and what was deleted goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import Timestamp
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from warp.change import TS_COUNTER_BITS, cluster_time
from warp.embedded.replica_set import MongoReplicaSet

NOISE_BYTES = 200_000
OPLOG_MB = 1
DOCUMENTS = 2_000


@pytest.fixture
def forgetful(tmp_path: Path, redis_url: str, pg_dsn: str) -> Iterator[Endpoints]:
    """Servers of which MongoDB remembers about a megabyte of changes."""
    with MongoReplicaSet(tmp_path / "mongodb", oplog_mb=OPLOG_MB) as mongodb:
        yield Endpoints(mongo_uri=mongodb.uri, redis_url=redis_url, pg_dsn=pg_dsn)


@pytest.fixture
def shop(forgetful: Endpoints) -> Iterator[Database[dict[str, Any]]]:
    """A database on it, with documents."""
    with MongoClient[dict[str, Any]](forgetful.mongo_uri) as client:
        database = client["shop"]
        for name in ("orders", "gone"):
            database[name].insert_many([{"_id": number, "v": "old"} for number in range(DOCUMENTS)])
        yield database


def _checkpoint(mirror: Mirror) -> int:
    return mirror.number("SELECT min(checkpoint_ts) FROM cartridge_warp.sync_schemas")


def _roll_over(database: Database[dict[str, Any]], ts: int) -> None:
    """Write into another database until the oplog no longer has the change at `ts`."""
    oplog, noise = database.client["local"]["oplog.rs"], database.client["noise"]["noise"]

    def rolled_over() -> bool:
        noise.insert_one({"noise": os.urandom(NOISE_BYTES)})
        oldest: Timestamp = next(iter(oplog.find({}, {"ts": 1}).sort("$natural", 1).limit(1)))["ts"]
        return cluster_time(oldest.time, oldest.inc) > ts

    eventually(rolled_over, what="the oplog rolled over")


def _assert_gone(database: Database[dict[str, Any]], ts: int) -> None:
    """The server says that it is: error 286."""
    at = Timestamp(ts >> TS_COUNTER_BITS, ts & (1 << TS_COUNTER_BITS) - 1)
    with pytest.raises(OperationFailure) as refused:
        database.aggregate([{"$changeStream": {"startAtOperationTime": at}}])
    assert refused.value.code == 286


def _live_on(database: Database[dict[str, Any]]) -> None:
    database["orders"].delete_many({"_id": {"$lt": 500}})
    database["orders"].update_many({"_id": {"$lt": 1_000}}, {"$set": {"v": "new"}})
    database["orders"].insert_many([{"_id": DOCUMENTS + number, "v": 1.5} for number in range(100)])
    database.drop_collection("gone")
    database["late"].insert_one({"_id": "late"})


EXPECTED = {("shop", "orders"): DOCUMENTS - 400, ("shop", "late"): 1}


@pytest.mark.parametrize(("deletion", "on_drop"), [("hard", "truncate"), ("soft", "truncate"), ("hard", "drop")])
def test_the_oplog_rolls_over_while_the_fleet_is_away(
    deletion: str, on_drop: str, forgetful: Endpoints, shop: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(forgetful, {"name": "shop", "deletion_strategy": deletion, "on_drop": on_drop})
    mirror.start().wait_caught_up()
    for process in mirror.processes:
        process.terminate()
    _live_on(shop)
    before = _checkpoint(mirror)
    _roll_over(shop, max(before, mirror.looking.source.now()))
    _assert_gone(shop, before)
    for process in mirror.processes:
        process.restart()
    eventually(lambda: _checkpoint(mirror) > before, what="the stream opened anew")
    mirror.wait_caught_up()
    tables = assert_identical(mirror.config)
    assert {table: number for table, number in tables.items() if number} == EXPECTED
    assert mirror.query("SELECT table_name, action FROM cartridge_warp.audit_log ORDER BY table_name, id") == [
        ("gone", f"source table dropped: {on_drop}"),
        ("late", "source table replaced: to be read again"),
        ("orders", "source table replaced: to be read again"),
        ("orders", "rows swept"),
    ]
    shop["orders"].insert_one({"_id": "it goes on"})
    mirror.wait_caught_up()
    assert assert_identical(mirror.config)["shop", "orders"] == EXPECTED["shop", "orders"] + 1


def test_the_oplog_rolls_over_past_a_tailer_that_stands_still(
    forgetful: Endpoints, shop: Database[dict[str, Any]], make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    """Its cursor dies with what it stood on; the writer goes on all the while."""
    mirror, writer = make_mirror(forgetful, "shop"), make_writer(forgetful, "shop", seed=41, collections=["orders"])
    mirror.start().wait_caught_up()
    writer.start()
    mirror.wait_applied(200)
    mirror.tailer.freeze()
    _live_on(shop)
    before = _checkpoint(mirror)
    _roll_over(shop, mirror.looking.source.now())
    _assert_gone(shop, before)
    mirror.tailer.thaw()
    replaced = "SELECT count(*) FROM cartridge_warp.audit_log WHERE table_name = 'orders' AND action LIKE '%replaced%'"
    eventually(lambda: mirror.number(replaced), what="the loss noticed")
    mirror.wait_applied(200)
    mirror.end_identical(writer)
    assert mirror.tailer.running
