"""A document that PostgreSQL refuses, from the change to its replay, with real processes."""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any

import psycopg
from psycopg import sql
from pymongo.database import Database
from redis import Redis
from rq import Queue
from rq.job import requeue_job
from rq.serializers import JSONSerializer

from tests.acceptance.conftest import MakeMirror
from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints
from tests.support.fleet import COMMAND
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from warp.errors import ExitCode
from warp.metadata.base import LetterFilter, LetterState, StoredLetter

SECRET = "hunter2 was his password"


def _letters(mirror: Mirror) -> list[StoredLetter]:
    """All of them, oldest first."""
    return mirror.looking.destination.metadata.letters(LetterFilter(), None)[::-1]


def _alter(endpoints: Endpoints, schema: str, what: bytes) -> None:
    table = sql.Identifier(schema, "users").as_string().encode()
    with psycopg.connect(endpoints.pg_dsn, autocommit=True) as connection:
        connection.execute(b"ALTER TABLE " + table + what)


def _shown(redis: Redis, schema: str) -> set[str]:
    """The failed jobs of replays."""
    queue = Queue(f"warp:replay:{schema}.users", connection=redis, serializer=JSONSerializer)
    return set(queue.failed_job_registry.get_job_ids())


def _dlq(mirror: Mirror, *arguments: str) -> tuple[int, str]:
    """Run `dlq`; its exit code and what it printed."""
    command = [str(COMMAND), "dlq", *arguments, "--config", str(mirror.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


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
    assert mirror.number(f'SELECT count(*) FROM "{schema}".users') == 98
    letters = _letters(mirror)
    assert [stored.letter.key.text for stored in letters] == ["40", "41", "42"]

    with Redis.from_url(endpoints.redis_url) as redis:
        jobs = {f"warp-letter-{stored.number}" for stored in letters}
        eventually(lambda: _shown(redis, schema) == jobs, what="failed jobs")
        redis.flushdb()
        eventually(lambda: _shown(redis, schema) == jobs, what="failed jobs again after FLUSHALL")

        # The first is mended at the source, and the second deleted there: both letters are void.
        users.update_one({"_id": 40}, {"$set": {"note": "mended"}})
        users.delete_one({"_id": 41})
        eventually(lambda: len(_shown(redis, schema)) == 1, what="one job left")
        assert [stored.state for stored in _letters(mirror)] == [
            LetterState.SUPERSEDED,
            LetterState.SUPERSEDED,
            LetterState.OPEN,
        ]

        # The third fails again while the cause is there, and is applied once it is gone.
        [job] = _shown(redis, schema)
        requeue_job(job, connection=redis)
        eventually(lambda: _letters(mirror)[2].attempts == 2 and _shown(redis, schema) == {job})
        _alter(endpoints, schema, b" DROP CONSTRAINT forbidden")
        requeue_job(job, connection=redis)
        eventually(lambda: _letters(mirror)[2].state is LetterState.APPLIED, what="applied")
        eventually(lambda: not _shown(redis, schema), what="no job left")

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

    code, output = _dlq(mirror, "replay", str(stored.number))
    assert (code, "failed again: ProgramLimitExceeded" in output) == (ExitCode.FAILED, True)
    code, output = _dlq(mirror, "discard", str(stored.number), "--yes")
    assert (code, output) == (ExitCode.DONE, f"{stored.number}: discarded\n")
    code, output = _dlq(mirror, "list", "--json")
    assert (code, json.loads(output)) == (ExitCode.DONE, {"letters": []})
