"""A process beside its like: when the first one dies or is frozen, the other goes on within the seconds promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints
from tests.support.fleet import Process
from tests.support.readiness import Readiness
from tests.support.wait import eventually

JSON_LOG = {"log_format": "json"}
KILLED, FROZEN = (Process.kill, 10.0), (Process.freeze, 15.0)
"""How the first process goes, and the seconds within which the other goes on: here a deadline is the guarantee."""
either_way = pytest.mark.parametrize(("goes", "seconds"), [KILLED, FROZEN], ids=["killed", "frozen"])


@either_way
def test_a_standby_tailer_takes_over(
    goes: Callable[[Process], None],
    seconds: float,
    endpoints: Endpoints,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror, writer = make_mirror(endpoints, database.name), make_writer(endpoints, database.name, seed=31)
    database["signs"].insert_one({"_id": 0})
    mirror.start().wait_caught_up()
    leader = mirror.tailer
    standby = mirror.fleet.tailer(mirror.config, database.name)
    eventually(lambda: "stands by" in standby.output())
    writer.start()
    mirror.wait_applied(300)
    goes(leader)
    database["signs"].insert_one({"_id": 1})
    rows = f'SELECT count(*) FROM "{database.name}".signs'
    eventually(lambda: mirror.number(rows) == 2, seconds, what="changes flow again")
    if leader.running:
        leader.thaw()
        eventually(lambda: leader.output().rpartition("stands by")[1], what="the leader of before stands by")
    mirror.wait_applied(300)
    mirror.end_identical(writer)


@either_way
def test_a_second_scheduler_goes_on_with_a_first_load(
    goes: Callable[[Process], None],
    seconds: float,
    endpoints: Endpoints,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
) -> None:
    """Both are at work all the time: what one of them does is harmless to be done by both."""
    documents = 20_000
    database["pages"].insert_many({"_id": number, "text": "x" * 500} for number in range(documents))
    mirror = make_mirror(endpoints, database.name, monitoring=JSON_LOG)
    mirror.start()
    first = mirror.scheduler
    mirror.fleet.scheduler(mirror.config)
    mirror.freeze_when(mirror.workers[0], mirror.chunks_partly_loaded, "a chunk loaded in part")
    goes(first)
    mirror.workers[0].thaw()
    eventually(lambda: not mirror.loads_open(), seconds, what="the first load finished")
    if first.running:
        first.thaw()
    mirror.wait_caught_up()
    assert assert_identical(mirror.config) == {(database.name, "pages"): documents}


@either_way
def test_a_second_web_process_answers(
    goes: Callable[[Process], None],
    seconds: float,
    endpoints: Endpoints,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
) -> None:
    database["items"].insert_one({"_id": 0})
    mirror = make_mirror(endpoints, database.name, monitoring=JSON_LOG).start()
    mirror.wait_caught_up()
    first, second = (mirror.fleet.start(mirror.config, "web", "--port", "0") for _ in range(2))
    eventually(Readiness(first).ready, what="the first ready")
    other = Readiness(second)
    goes(first)
    eventually(other.ready, seconds, what="the other ready")
