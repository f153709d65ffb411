"""Dead letters in rq dashboard: the real web app shows why, and its Requeue button has a real worker replay them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from pymongo.database import Database
from redis import Redis

from scheduler.letters import LOOK_SECONDS, Letters
from tests.conftest import ConfigFile
from tests.integration.parking import REFUSED, TABLE, Parking
from tests.integration.test_web import JSON_LOG, Answer, base_url
from tests.support.fleet import Fleet
from tests.support.wait import eventually
from warp.destinations.postgresql.destination import PostgresDestination
from warp.metadata.base import LetterState
from warp.sources.mongodb.source import MongoSource
from warp.transport.letters import RedisLetterJobs

BUTTON = "/rq/job/{}/requeue"


@pytest.fixture
def parking(
    source: MongoSource,
    destination: PostgresDestination,
    database: Database[dict[str, Any]],
    postgresql: psycopg.Connection,
) -> Parking:
    return Parking(source, destination, database, postgresql)


class Dashboard:
    """The web app, and a scheduler that shows letters in it."""

    def __init__(self, base: str, schema: str, destination: PostgresDestination, redis: Redis) -> None:
        self._base = base
        self._queue = f"warp:replay:{schema}.{TABLE}"
        self._now = 0.0
        jobs = RedisLetterJobs(redis, "redis")
        self._letters = Letters(schema, destination.metadata, jobs, clock=lambda: self._now)

    def look(self) -> None:
        """Let the scheduler look once."""
        self._now += LOOK_SECONDS
        self._letters.tick()

    def failed(self) -> dict[str, str]:
        """Id and description of the jobs on the page of failed ones."""
        page = Answer(self._base, f"/rq/0/data/jobs/{self._queue}/failed/50/asc/1.json")
        assert page.status == 200, page.body
        return {job["id"]: job["description"] for job in page.json()["jobs"]}

    def traceback(self, job: str) -> str:
        """What the page of a job shows."""
        return str(Answer(self._base, f"/rq/0/data/job/{job}.json").json()["exc_info"])

    def press(self, path: str) -> None:
        """Press a button."""
        assert Answer(self._base, path, method="POST").status == 200


@pytest.fixture
def dashboard(
    parking: Parking, config_file: ConfigFile, fleet: Fleet, destination: PostgresDestination, redis: Redis
) -> Dashboard:
    process = fleet.start(config_file(monitoring=JSON_LOG), "web", "--port", "0")
    return Dashboard(base_url(process), parking.ref.schema, destination, redis)


def test_an_open_letter_is_a_failed_job_that_says_why(parking: Parking, dashboard: Dashboard) -> None:
    [stored] = parking.park(1)
    dashboard.look()
    job = f"warp-letter-{stored.number}"
    description = (
        f"dead letter {stored.number}: insert in {parking.ref}, key of kind int: Poison: {stored.letter.error}"
    )
    # The list gives the function as well as the description.
    assert dashboard.failed().keys() == {job}
    assert description in dashboard.failed()[job]
    assert dashboard.traceback(job) == stored.letter.traceback
    assert "psycopg.errors.CheckViolation (SQLSTATE 23514)" in dashboard.traceback(job)


def test_requeue_has_a_worker_replay_it(
    parking: Parking, dashboard: Dashboard, config_file: ConfigFile, fleet: Fleet
) -> None:
    [stored] = parking.park(1)
    dashboard.look()
    job = f"warp-letter-{stored.number}"
    worker = fleet.worker(config_file())

    dashboard.press(BUTTON.format(job))
    eventually(lambda: parking.letters()[0].attempts == 2 and job in dashboard.failed(), what="failed again")
    again = dashboard.traceback(job)
    assert "workers.replay.ReplayFailed: " in again
    assert "psycopg.errors.CheckViolation (SQLSTATE 23514)" in again
    assert f"({REFUSED}" not in again
    assert "Failing row" not in again + worker.output()
    dashboard.look()
    assert job in dashboard.failed()

    parking.relent()
    dashboard.press(BUTTON.format(job))
    eventually(lambda: parking.letters()[0].state is LetterState.APPLIED, what="applied")
    eventually(lambda: job not in dashboard.failed(), what="the job gone")
    dashboard.look()
    assert dashboard.failed() == {}
    assert parking.identical()


def test_requeue_all_has_a_worker_replay_all(
    parking: Parking, dashboard: Dashboard, config_file: ConfigFile, fleet: Fleet
) -> None:
    parking.park(1, 2, 3)
    parking.relent()
    dashboard.look()
    fleet.worker(config_file())
    dashboard.press(f"/rq/requeue/warp:replay:{parking.ref.schema}.{TABLE}")
    eventually(lambda: not dashboard.failed() and parking.identical(), what="all applied")


def test_what_was_settled_elsewhere_goes_and_what_was_lost_comes_back(
    parking: Parking, dashboard: Dashboard, redis: Redis
) -> None:
    one, two = parking.park(1, 2)
    dashboard.look()
    assert len(dashboard.failed()) == 2
    redis.flushdb()
    assert dashboard.failed() == {}
    dashboard.look()
    assert len(dashboard.failed()) == 2
    parking.destination.metadata.discard_letter(one.number)
    dashboard.look()
    assert dashboard.failed().keys() == {f"warp-letter-{two.number}"}
