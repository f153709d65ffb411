"""A schema that does not get on although its source does turns readiness red, with the reason, until it does."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from tests.acceptance.conftest import MakeMirror
from tests.support.endpoints import Endpoints
from tests.support.fleet import Fleet
from tests.support.mirror import Mirror
from tests.support.readiness import Readiness
from tests.support.wait import eventually

JSON_LOG = {"log_format": "json"}


@pytest.fixture
def mirror(endpoints: Endpoints, database: Database[dict[str, Any]], make_mirror: MakeMirror) -> Mirror:
    """A mirror that runs and has caught up."""
    database["items"].insert_one({"_id": 0})
    mirror = make_mirror(endpoints, database.name, monitoring=JSON_LOG).start()
    mirror.wait_caught_up()
    return mirror


def _an_hour_passes(mirror: Mirror) -> None:
    """As far as PostgreSQL can tell."""
    mirror.query("UPDATE cartridge_warp.sync_schemas SET advanced_at = advanced_at - interval '1 hour' RETURNING 1")


def test_without_a_worker_a_schema_stalls_until_one_is_back(
    mirror: Mirror, database: Database[dict[str, Any]], fleet: Fleet
) -> None:
    web = Readiness(fleet.start(mirror.config, "web", "--port", "0"))
    eventually(web.ready, what="ready")
    stalled = f'cartridge_warp_stalled{{schema="{database.name}"}}'
    assert web.gauge(stalled) == 0

    mirror.workers[0].terminate()
    database["items"].insert_many({"_id": number} for number in range(1, 100))
    eventually(lambda: mirror.backlog() == 99)
    assert not web.missing(), "not yet"
    _an_hour_passes(mirror)
    check = web.red(f"schema {database.name}")
    assert "99 changes wait in its logs, and there is no worker" in check["reason"]
    assert check["remedy"] == "start workers: cartridge-warp worker"
    assert web.gauge(stalled) == 1
    code, output = fleet.run(mirror.config, "status")
    assert code == 0
    assert f"schema {database.name}: stalled" in output
    assert "and there is no worker" in output

    mirror.workers[0].restart()
    mirror.wait_caught_up()
    eventually(web.ready, what="readiness green")
    assert web.gauge(stalled) == 0


def test_an_oplog_that_is_too_short_turns_readiness_red(
    endpoints: Endpoints, database: Database[dict[str, Any]], make_mirror: MakeMirror, fleet: Fleet
) -> None:
    database["items"].insert_one({"_id": 0})
    settings = {**JSON_LOG, "min_oplog_headroom_hours": 8760}
    mirror = make_mirror(endpoints, database.name, monitoring=settings).start()
    mirror.wait_caught_up()
    web = Readiness(fleet.start(mirror.config, "web", "--port", "0"))
    check = web.red(f"oplog for {database.name}")
    assert "at this lag the token dies in " in check["reason"]
    assert "replSetResizeOplog" in check["remedy"]
    assert web.gauge(f'cartridge_warp_oplog_headroom_seconds{{schema="{database.name}"}}') > 0
