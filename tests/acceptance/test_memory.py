"""Memory stays bounded, of processes and of Redis, whatever waits."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from redis import Redis

from tests.acceptance.conftest import MakeMirror
from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints
from tests.support.wait import eventually

MOST_BYTES = 250 * 2**20
BACKLOG = 100_000


def test_invariant_8_a_backlog_is_drained_in_bounded_memory(
    endpoints: Endpoints, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(endpoints, database.name).start(workers=0)
    eventually(mirror.checkpoint)
    filler = "x" * 200
    for start in range(0, BACKLOG, 10_000):
        database["events"].insert_many(
            {"_id": number, "kind": number % 7, "text": f"{number} {filler}"} for number in range(start, start + 10_000)
        )
    eventually(lambda: mirror.backlog() == BACKLOG, what="the backlog in the logs")
    mirror.workers = [mirror.fleet.worker(mirror.config)]
    mirror.wait_caught_up()
    assert mirror.applied() == BACKLOG
    for process in mirror.processes:
        assert process.peak_bytes() < MOST_BYTES, process.name
    assert assert_identical(mirror.config) == {(database.name, "events"): BACKLOG}


def test_invariant_8_the_tailer_stops_at_the_high_water_mark_and_goes_on(
    endpoints: Endpoints, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    """One reply of the server is 16 MiB at most: so much may lie above the mark."""
    mark, reply, documents, size = 2 * 2**20, 16 * 2**20, 1_000, 100_000
    mirror = make_mirror(endpoints, database.name, log_high_water_mark=mark).start(workers=0)
    eventually(mirror.checkpoint)
    with Redis.from_url(endpoints.redis_url) as redis:
        before = int(redis.info("memory")["used_memory"])
        for number in range(documents):
            database["pages"].insert_one({"_id": number, "text": f"{number:10}" * (size // 10)})
        mirror.checkpoint_saves(2)
        waiting = mirror.backlog()
        assert 0 < waiting < documents
        database["pages"].update_many({}, {"$inc": {"views": 1}})
        mirror.checkpoint_saves(5)
        assert mirror.backlog() == waiting
        assert int(redis.info("memory")["used_memory"]) - before < mark + 2 * reply
    mirror.workers = [mirror.fleet.worker(mirror.config)]
    mirror.wait_caught_up()
    for process in mirror.processes:
        assert process.peak_bytes() < MOST_BYTES, process.name
    assert assert_identical(mirror.config) == {(database.name, "pages"): documents}
