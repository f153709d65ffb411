"""`web` as it is run: a real process, asked over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import psycopg
import pytest
from pymongo.database import Database
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from tests.conftest import ConfigFile
from tests.support.endpoints import Endpoints, write_config
from tests.support.fleet import Fleet, Process
from tests.support.postgresql import migrated_database
from tests.support.wait import eventually
from warp.change import TableRef
from warp.destinations.postgresql.destination import PostgresDestination
from warp.embedded import EmbeddedServers
from warp.errors import ExitCode
from warp.sources.base import StreamPoint
from warp.sources.mongodb.source import MongoSource
from warp.transport.base import load_wakeup
from warp.transport.wakeups import RedisWakeups

SECRET = "hunter2"
JSON_LOG = {"log_format": "json"}


class Answer:
    """What came back: status, headers and body; redirections are not followed."""

    def __init__(self, base: str, path: str, *, method: str = "GET") -> None:
        opener = build_opener(_Staying)
        try:
            reply = opener.open(Request(base + path, method=method), timeout=60)
        except HTTPError as error:
            reply = error
        with reply:
            self.status, self.headers, self.body = reply.status, reply.headers, reply.read().decode()

    def json(self) -> Any:
        return json.loads(self.body)


class _Staying(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def base_url(process: Process) -> str:
    """Where a web process listens, once it does."""

    def listening() -> int:
        assert process.running, process.output()
        events = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
        return next((int(event["port"]) for event in events if event["event"] == "listening"), 0)

    return f"http://127.0.0.1:{eventually(listening, what='web listening')}"


@pytest.fixture
def process(config_file: ConfigFile, fleet: Fleet) -> Process:
    return fleet.start(config_file(monitoring=JSON_LOG), "web", "--port", "0")


@pytest.fixture
def get(process: Process) -> Callable[[str], Answer]:
    base = base_url(process)
    return lambda path: Answer(base, path)


@pytest.fixture
def begun(source: MongoSource, destination: PostgresDestination, database: Database[dict[str, Any]]) -> str:
    """A schema whose checkpoint was saved just now; its name."""
    start = StreamPoint(position="01", ts=source.now())
    destination.metadata.begin_schema(database.name, start, [], {})
    return database.name


def test_it_is_alive_and_leads_to_the_dashboard(get: Callable[[str], Answer]) -> None:
    assert get("/healthz").status == 200
    assert get("/healthz").json() == {"alive": True}
    index = get("/")
    assert (index.status, index.headers["Location"]) == (302, "/rq/")


def test_it_is_ready_once_every_schema_has_a_tailer(
    get: Callable[[str], Answer],
    source: MongoSource,
    destination: PostgresDestination,
    postgresql: psycopg.Connection,
    database: Database[dict[str, Any]],
) -> None:
    answer = get("/readyz")
    assert answer.status == 503
    names = ["mongodb", "postgresql", "redis"]
    assert answer.json() == {
        "ready": False,
        "checks": [
            *({"name": name, "ok": True} for name in names),
            {
                "name": f"schema {database.name}",
                "ok": False,
                "reason": "its stream has never been opened",
                "remedy": f"start its tailer: cartridge-warp tailer --schema {database.name}",
            },
        ],
    }

    destination.metadata.begin_schema(database.name, StreamPoint(position="01", ts=source.now()), [], {})
    eventually(lambda: get("/readyz").status == 200, what="readiness")
    assert get("/readyz").json()["ready"] is True

    postgresql.execute(b"UPDATE cartridge_warp.sync_schemas SET checkpointed_at = now() - interval '1 minute'")
    eventually(lambda: get("/readyz").status == 503, what="no readiness")
    assert "its checkpoint was last saved 6" in get("/readyz").body


def test_metrics_are_of_this_process_and_of_the_whole_mirror(get: Callable[[str], Answer], begun: str) -> None:
    answer = get("/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.body.splitlines()
    assert "cartridge_warp_up 1.0" in lines
    for gauge in ("lag_seconds", "backlog_changes", "dead_letters"):
        assert f'cartridge_warp_status_{gauge}{{schema="{begun}"}} 0.0' in lines
    assert f'cartridge_warp_stalled{{schema="{begun}"}} 0.0' in lines
    assert any(line.startswith(f'cartridge_warp_oplog_headroom_seconds{{schema="{begun}"}} ') for line in lines)
    assert any(line.startswith("process_cpu_seconds_total ") for line in lines)
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


def test_the_dashboard_shows_wake_ups_and_escapes_what_it_shows(
    get: Callable[[str], Answer], redis: Redis, wakeups: RedisWakeups
) -> None:
    wakeups.schedule([load_wakeup(TableRef("shop", "<b>items"), 3)], "c")
    failed = Queue("failing", connection=redis, serializer=JSONSerializer).enqueue("nowhere.to.be.found", 1)

    queues = {queue["name"]: queue for queue in get("/rq/0/data/queues.json").json()["queues"]}
    assert queues["warp:load:shop.<b>items"]["count"] == 1
    [job] = get("/rq/0/data/jobs/warp:load:shop.%3Cb%3Eitems/queued/8/asc/1.json").json()["jobs"]
    assert job["description"] == "load shop.<b>items, chunk 3"
    details = get(f"/rq/0/data/job/{job['id']}.json").json()
    assert (details["status"], details["origin"]) == ("queued", "warp:load:shop.<b>items")
    pages = ["/rq/", "/rq/0/view/jobs/failing/failed/8/asc/1", "/rq/0/view/workers", f"/rq/0/view/job/{failed.id}"]
    for page in pages:
        shown = get(page)
        assert shown.status == 200
        assert "<%=" not in shown.body
    assert "<b>items" not in get("/rq/0/view/jobs/warp:load:shop.%3Cb%3Eitems/queued/8/asc/1").body
    assert get("/static/css/main.css").status == 200


def test_a_link_cannot_bring_a_script_into_the_dashboard(get: Callable[[str], Answer]) -> None:
    shown = get("/rq/0/view/jobs/x');alert(1)%3Cb%3E('/queued/8/asc/1")

    assert shown.status == 200
    assert "x');alert" not in shown.body


def test_sigterm_ends_it_in_order(process: Process) -> None:
    base = base_url(process)
    assert Answer(base, "/healthz").status == 200

    assert process.terminate() == ExitCode.DONE
    assert "Traceback" not in process.output()


def test_a_server_that_is_away_is_named_and_no_password_is_shown_anywhere(
    own_servers: EmbeddedServers, fleet: Fleet, tmp_path: Any
) -> None:
    with Redis.from_url(own_servers.redis.url) as client:
        client.config_set("requirepass", SECRET)
    endpoints = Endpoints(
        mongo_uri=own_servers.mongodb.uri,
        redis_url=own_servers.redis.url.replace("redis://", f"redis://default:{SECRET}@"),
        pg_dsn=migrated_database(own_servers),
    )
    process = fleet.start(
        write_config(tmp_path / "web.yaml", endpoints, ["shop"], monitoring=JSON_LOG), "web", "--port", "0"
    )
    base = base_url(process)
    paths = ["/rq/", "/rq/0/view/jobs", "/rq/0/view/workers", "/rq/0/data/queues.json", "/readyz", "/metrics"]
    answers = [Answer(base, path) for path in paths]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 503, 200]
    assert f"127.0.0.1:{own_servers.redis.port}/0" in answers[0].body

    own_servers.redis.stop()
    eventually(lambda: _misses_redis(Answer(base, "/readyz")), what="Redis missed")
    answers += [Answer(base, path) for path in paths]

    assert Answer(base, "/healthz").status == 200
    assert "cartridge_warp_up 0.0" in answers[-1].body
    assert all(SECRET not in answer.body and SECRET not in str(answer.headers) for answer in answers)
    assert SECRET not in process.output()


def _misses_redis(answer: Answer) -> bool:
    checks = {check["name"]: check.get("reason", "") for check in answer.json().get("checks", ())}
    return answer.status == 503 and "cannot be reached" in checks.get("redis", "")


def test_a_port_that_is_taken_is_named(process: Process, config_file: ConfigFile, fleet: Fleet) -> None:
    port = base_url(process).rpartition(":")[2]

    code, output = fleet.run(config_file(), "web", "--port", port)

    assert code == ExitCode.FAILED
    assert f"error: cannot listen on 127.0.0.1, port {port}: " in output


@pytest.mark.parametrize("module", ["flask", "waitress", "rq_dashboard"])
def test_a_missing_extra_is_named(module: str, config_file: ConfigFile) -> None:
    script = f"import sys; sys.modules[{module!r}] = None; from warp.cli import main; main()"
    command = [sys.executable, "-c", script, "web", "--config", str(config_file())]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == ExitCode.FAILED
    assert f"web needs {module}, which is not installed" in done.stderr
    assert "pip install 'cartridge-warp[dashboard]'" in done.stderr
