"""A document that PostgreSQL refuses, from the change to its replay, with real processes and nobody's help but a hand's."""

from __future__ import annotations

import json
import random
from typing import Any

import psycopg
from psycopg import sql
from pymongo.database import Database
from redis import Redis
from rq.job import requeue_job

from tests.acceptance.conftest import MakeMirror
from tests.support.compare import assert_identical, verify
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from warp.metadata.base import LetterFilter, LetterState, StoredLetter

SECRET = "hunter2 was his password"


def _letters(mirror: Mirror) -> list[StoredLetter]:
    """All of them, oldest first."""
    return mirror.looking.destination.metadata.letters(LetterFilter(), None)[::-1]


def _alter(endpoints: Endpoints, schema: str, what: bytes) -> None:
    table = sql.Identifier(schema, "users").as_string().encode()
    with psycopg.connect(endpoints.pg_dsn, autocommit=True) as connection:
        connection.execute(b"ALTER TABLE " + table + what)


def _shown(redis: Redis, mirror: Mirror, schema: str) -> set[str]:
    """The failed jobs of replays."""
    return {each.decode() for each in redis.zrange(f"rq:failed:warp:replay:{schema}.users", 0, -1)}


def test_from_the_change_that_is_refused_to_its_replay(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    users = database["users"]
    users.insert_one({"_id": 0, "age": 1, "note": "first"})
    mirror = make_mirror(endpoints, schema).start()
    mirror.wait_caught_up()
    _alter(endpoints, schema, b" ADD CONSTRAINT forbidden CHECK (note <> 'hunter2 was his password')")

    users.insert_many([{"_id": n, "age": n, "note": SECRET if n in (40, 41, 42) else "fine"} for n in range(1, 101)])
    mirror.wait_caught_up()
    _, report = verify(mirror.config)
    [table] = report["tables"]
    assert (table["missing"], table["extra"], table["different"]) == (3, 0, 0)
    letters = _letters(mirror)
    assert [stored.letter.key.text for stored in letters] == ["40", "41", "42"]

    with Redis.from_url(endpoints.redis_url) as redis:
        jobs = {f"warp-letter-{stored.number}" for stored in letters}
        eventually(lambda: _shown(redis, mirror, schema) == jobs, what="failed jobs")
        redis.flushdb()
        eventually(lambda: _shown(redis, mirror, schema) == jobs, what="failed jobs again after FLUSHALL")

        # The first is mended at the source, and the second deleted there: both letters are void.
        users.update_one({"_id": 40}, {"$set": {"note": "mended"}})
        users.delete_one({"_id": 41})
        eventually(lambda: len(_shown(redis, mirror, schema)) == 1, what="one job left")
        assert [stored.state for stored in _letters(mirror)] == [
            LetterState.SUPERSEDED,
            LetterState.SUPERSEDED,
            LetterState.OPEN,
        ]

        # The third fails again while the cause is there, and is applied once it is gone.
        [job] = _shown(redis, mirror, schema)
        requeue_job(job, connection=redis)
        eventually(lambda: _letters(mirror)[2].attempts == 2 and _shown(redis, mirror, schema) == {job})
        _alter(endpoints, schema, b" DROP CONSTRAINT forbidden")
        requeue_job(job, connection=redis)
        eventually(lambda: _letters(mirror)[2].state is LetterState.APPLIED, what="applied")
        eventually(lambda: not _shown(redis, mirror, schema), what="no job left")

    assert_identical(mirror.config)
    outputs = [process.output() for process in mirror.processes]
    assert not any(SECRET in output for output in outputs)


def test_a_key_too_long_for_any_index_stays_a_letter_until_it_is_given_up(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    long = random.Random(1).randbytes(4000).hex()
    database["users"].insert_many([{"_id": "short"}, {"_id": long}])
    mirror = make_mirror(endpoints, schema).start()
    mirror.wait_caught_up()
    [stored] = _letters(mirror)
    assert "ProgramLimitExceeded" in stored.letter.error

    code, output = mirror.fleet.run(mirror.config, "dlq", "replay", str(stored.number))
    assert (code, "failed again" in output) == (1, True)
    code, output = mirror.fleet.run(mirror.config, "dlq", "discard", str(stored.number), "--yes")
    assert (code, output) == (0, f"{stored.number}: discarded\n")
    code, output = mirror.fleet.run(mirror.config, "dlq", "list", "--json")
    assert (code, json.loads(output)) == (0, {"letters": []})
