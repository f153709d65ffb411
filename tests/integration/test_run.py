"""`run` and `demo` as a person runs them: whole fleets of real processes, started by one command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from tests.conftest import ConfigFile
from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints, write_config
from tests.support.fleet import Fleet, Process
from tests.support.postgresql import drop_database
from tests.support.wait import eventually
from warp.embedded import EmbeddedServers
from warp.errors import ExitCode
from warp.transport import keys

_TIGHT = ("--workers", "1", "--no-web")


@pytest.fixture
def empty_dsn(servers: EmbeddedServers) -> Iterator[str]:
    """The connection string of a database in which nothing has been made."""
    dsn = servers.postgresql.create_database(f"test_{uuid4().hex[:12]}")
    yield dsn
    drop_database(servers, dsn)


@pytest.fixture
def shop(database: Database[dict[str, Any]]) -> Database[dict[str, Any]]:
    """A database with two collections."""
    database.orders.insert_many([{"_id": number, "n": number, "tags": ["a"]} for number in range(2_000)])
    database.customers.insert_many([{"name": "Zoë", "age": "old"}, {"name": None, "age": 7}])
    return database


def children(pid: int) -> set[int]:
    """The process ids of a process's children, zombies aside."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process exists that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def started(fleet: Fleet, config: Path, *arguments: str, processes: int) -> tuple[Process, set[int]]:
    """A supervising command, and its children once all of them are there."""
    process = fleet.start(config, *arguments)
    eventually(lambda: len(children(process.pid)) == processes or not process.running)
    return process, children(process.pid)


def test_until_caught_up_loads_the_first_time_and_catches_up_from_then_on(
    shop: Database[dict[str, Any]], mongo_uri: str, redis_url: str, empty_dsn: str, tmp_path: Path, fleet: Fleet
) -> None:
    endpoints = Endpoints(mongo_uri=mongo_uri, redis_url=redis_url, pg_dsn=empty_dsn)
    config = write_config(tmp_path / "config.yaml", endpoints, [shop.name])
    code, output = fleet.run(config, "run", "--until-caught-up", *_TIGHT)
    assert code == 0, output
    assert "caught up: 2,002 documents loaded" in output
    assert assert_identical(config) == {(shop.name, "orders"): 2_000, (shop.name, "customers"): 2}
    shop.orders.update_many({}, {"$inc": {"n": 1}})
    shop.customers.delete_one({"name": None})
    shop.latecomers.insert_one({"_id": "new"})
    code, output = fleet.run(config, "run", "--until-caught-up", *_TIGHT)
    assert code == 0, output
    assert "2,002 changes applied" in output
    assert assert_identical(config)[shop.name, "latecomers"] == 1


def test_until_caught_up_fails_when_it_is_told_to_stop_before(
    config_file: ConfigFile, database: Database[dict[str, Any]], redis_url: str, fleet: Fleet
) -> None:
    with Redis.from_url(redis_url) as client:
        # So that no tailer begins.
        client.set(keys.tailer_lease(database.name), "somebody else")
    process, pids = started(fleet, config_file(), "run", "--until-caught-up", *_TIGHT, processes=3)
    eventually(lambda: "waiting for the tailer to begin" in process.output())
    assert process.terminate() == ExitCode.FAILED
    assert "stopped before everything was caught up" in process.output()
    assert len(pids) == 3
    assert not any(map(alive, pids))


def test_in_the_foreground_a_killed_process_is_replaced_and_sigterm_ends_all(
    shop: Database[dict[str, Any]], config_file: ConfigFile, pg_dsn: str, fleet: Fleet
) -> None:
    config = config_file()
    process, pids = started(fleet, config, "run", *_TIGHT, processes=3)
    count = f'SELECT count(*) FROM "{shop.name}".orders'
    eventually(lambda: rows(pg_dsn, f"SELECT to_regclass('\"{shop.name}\".orders')") != [(None,)])
    eventually(lambda: rows(pg_dsn, count) == [(2_000,)])
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    shop.orders.insert_one({"_id": "another"})
    eventually(lambda: rows(pg_dsn, count) == [(2_001,)])
    pids = children(process.pid)
    assert process.terminate() == 0
    assert not any(map(alive, pids))


def test_no_process_outlives_a_killed_run(config_file: ConfigFile, fleet: Fleet) -> None:
    process, pids = started(fleet, config_file(), "run", *_TIGHT, processes=3)
    process.kill()
    assert len(pids) == 3
    eventually(lambda: not any(map(alive, pids)))


def test_tailer_all_supervises_one_tailer_for_each_schema(config_file: ConfigFile, fleet: Fleet) -> None:
    schemas = [f"test_{uuid4().hex[:12]}" for _ in range(2)]
    process, pids = started(fleet, config_file(*schemas), "tailer", "--all", processes=2)
    assert process.terminate() == 0
    assert len(pids) == 2
    assert not any(map(alive, pids))


def test_batch_schemas_are_named_and_skipped(config_file: ConfigFile, fleet: Fleet) -> None:
    cold = {"name": "cold", "mode": "batch", "schedule": "*/5 * * * *"}
    config = config_file({"name": f"test_{uuid4().hex[:12]}"}, cold)
    code, output = fleet.run(config, "run", "--until-caught-up", *_TIGHT)
    assert code == 0, output
    assert "batch mode is not served yet, skipped: cold" in output
    code, output = fleet.run(config, "run", "--schema", "cold")
    assert code == ExitCode.USAGE
    assert "remedy: set mode: stream" in output


def test_a_server_that_is_away_ends_run_at_once(config_file: ConfigFile, fleet: Fleet) -> None:
    config = config_file(redis={"connection_string": "redis://:secret@127.0.0.1:1/0"})
    code, output = fleet.run(config, "run", *_TIGHT)
    assert code == ExitCode.UNREACHABLE
    assert "Redis at redis://***@127.0.0.1:1/0 cannot be reached" in output
    assert "secret" not in output


class Everything:
    """What three servers hold, as far as this test's databases go."""

    def __init__(self, database: Database[dict[str, Any]], redis_url: str, dsn: str) -> None:
        self._database = database
        self._redis_url = redis_url
        self._dsn = dsn

    def state(self) -> tuple[object, ...]:
        """Collections with their hashes, Redis's count of writes, and PostgreSQL's catalogs."""
        client: MongoClient[dict[str, Any]] = self._database.client
        databases = set(client.list_database_names()) - {"config", "local"}
        with Redis.from_url(self._redis_url) as redis:
            writes = redis.info("persistence")["rdb_changes_since_last_save"], redis.keys()
        relations = "SELECT nspname, relname, relfilenode FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        catalogs = rows(self._dsn, f"{relations} ORDER BY 1, 2"), rows(self._dsn, "SELECT nspname FROM pg_namespace")
        return databases, self._database.command("dbHash")["md5"], writes, catalogs


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    shop: Database[dict[str, Any]], mongo_uri: str, redis_url: str, empty_dsn: str, tmp_path: Path, fleet: Fleet
) -> None:
    shop.create_collection("empty")
    endpoints = Endpoints(mongo_uri=mongo_uri, redis_url=redis_url, pg_dsn=empty_dsn)
    config = write_config(tmp_path / "config.yaml", endpoints, [shop.name])
    everything = Everything(shop, redis_url, empty_dsn)
    before = everything.state()
    code, output = fleet.run(config, "run", "--dry-run", "--json")
    assert code == 0, output
    assert fleet.run(config, "run", "--dry-run")[0] == 0
    assert everything.state() == before
    plan = json.loads(output)
    assert (plan["blocked"], plan["metadata_tables"]) == (False, "create")
    assert plan["servers"]["source"].startswith("MongoDB 6.")
    [schema] = plan["schemas"]
    customers, empty, orders = schema["tables"]
    assert (orders["documents"], orders["action"], orders["exists"]) == (2_000, "copy", False)
    types = {column["name"]: column["type"] for column in orders["columns"]}
    assert types == {"_id": "bigint", "_warp_ts": "bigint", "_extra": "jsonb", "n": "bigint", "tags": "jsonb"}
    assert [(kept["field"], kept["reason"], kept["values"]) for kept in customers["kept"]] == [
        ("age", "does_not_fit", 1),
        ("name", "null", 1),
    ]
    assert (empty["sampled"], empty["columns"]) == (0, [])


def test_a_dry_run_says_what_a_mirror_that_exists_would_do(
    shop: Database[dict[str, Any]], config_file: ConfigFile, fleet: Fleet
) -> None:
    config = config_file()
    assert fleet.run(config, "run", "--until-caught-up", *_TIGHT)[0] == 0
    shop.orders.update_one({"_id": 0}, {"$set": {"discount": 0.5}})
    code, output = fleet.run(config, "run", "--dry-run", "--json")
    assert code == 0, output
    [schema] = json.loads(output)["schemas"]
    orders = next(table for table in schema["tables"] if table["name"] == "orders")
    assert (orders["ours"], orders["action"]) == (True, "follow")
    assert [column["name"] for column in orders["columns"] if column["new"]] == ["discount"]


def test_a_dry_run_names_a_foreign_table_and_fails(
    shop: Database[dict[str, Any]], config_file: ConfigFile, pg_dsn: str, fleet: Fleet
) -> None:
    with psycopg.connect(pg_dsn) as connection:
        connection.execute(f'CREATE SCHEMA "{shop.name}"'.encode())
        connection.execute(f'CREATE TABLE "{shop.name}".orders (mine int)'.encode())
    code, output = fleet.run(config_file(), "run", "--dry-run")
    assert code == ExitCode.FAILED
    assert f'"{shop.name}"."orders" exists, and cartridge-warp did not make it' in output


def demo(fleet: Fleet, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Run a demonstration; its exit code, and what it wrote. It must leave nothing in the temporary directory."""
    process = Process("demo", ["demo", *arguments], tmp_path / "demo.log")
    fleet.processes.append(process)
    return process.wait(120.0), process.output()


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where processes of this test make their temporary directories: PostgreSQL's user cannot enter `tmp_path`."""
    with TemporaryDirectory(prefix="cartridge-warp-test-") as name:
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


def test_the_demonstration_ends_without_differences_and_leaves_nothing(
    fleet: Fleet, tmp_path: Path, temporary: Path
) -> None:
    code, output = demo(fleet, tmp_path, "--documents", "1000", "--seconds", "1")
    assert code == 0, output
    assert output.startswith("cartridge-warp mirrors MongoDB into PostgreSQL.")
    figures = dict(line.split("  ", 1) for line in output.splitlines() if "  " in line)
    assert figures["differences"].strip() == "0"
    assert {"first load", "changes applied", "changes/s", "commit to visible row"} <= figures.keys()
    assert list(temporary.iterdir()) == []


def test_the_demonstration_takes_nobodys_servers_from_the_environment(
    fleet: Fleet, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARTRIDGE_WARP_SOURCE__CONNECTION_STRING", "mongodb://127.0.0.1:1")
    files = tmp_path / "files"
    files.mkdir()
    lines = (f'{{"_id": {{"$oid": "65e1b9c0000000000000000{number}"}}, "$odd": {number}.5}}' for number in range(9))
    (files / "things.json").write_text("\n".join(lines))
    code, output = demo(fleet, tmp_path, "--data", str(files), "--seconds", "1")
    assert code == 0, output
    assert "9 documents are in MongoDB's database data" in output


def test_the_demonstration_names_a_line_that_it_cannot_take(fleet: Fleet, tmp_path: Path, temporary: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "things.json").write_text('{"_id": 1}\n{"_id": 1}\n')
    code, output = demo(fleet, tmp_path, "--data", str(files))
    assert code == ExitCode.USAGE
    assert f"{files}/things.json:2: MongoDB refuses the document: its _id is not unique" in output
    assert list(temporary.iterdir()) == []


def test_an_interrupted_demonstration_leaves_nothing(fleet: Fleet, tmp_path: Path, temporary: Path) -> None:
    process = Process("demo", ["demo", "--documents", "1000", "--seconds", "600"], tmp_path / "demo.log")
    fleet.processes.append(process)
    eventually(lambda: "the writer goes on" in process.output())
    pids = children(process.pid)
    assert len(pids) >= 8
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60.0) == 130
    assert not any(map(alive, pids))
    assert list(temporary.iterdir()) == []
