"""Redis emptied, restarted or set back, and PostgreSQL stopped, in mid-stream. No process is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from redis import Redis

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from tests.support.writer import Writer
from warp.embedded import EmbeddedServers
from warp.embedded.redis import RedisServer


@pytest.fixture
def mirror(own_endpoints: Endpoints, make_mirror: MakeMirror) -> Mirror:
    """A mirror on servers of its own, not started."""
    return make_mirror(own_endpoints, "shop")


@pytest.fixture
def writer(own_endpoints: Endpoints, make_writer: MakeWriter) -> Writer:
    """What keeps changing its source, not started."""
    writer = make_writer(own_endpoints, "shop", seed=5)
    writer.preload(100)
    return writer


def test_invariant_1_losing_all_of_redis_loses_nothing(
    mirror: Mirror, writer: Writer, own_servers: EmbeddedServers
) -> None:
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    for worker in mirror.workers:
        mirror.freeze_when(worker, mirror.backlog, "changes waiting in the logs")
    eventually(lambda: mirror.backlog() > 200)
    with Redis.from_url(own_servers.redis.url) as client:
        client.flushall()
        for worker in mirror.workers:
            worker.thaw()
        mirror.wait_applied(500)
        for _ in range(3):
            eventually(mirror.backlog)
            client.flushall()
            mirror.wait_applied(100)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)


def _emptied(server: RedisServer) -> None:
    server.kill()
    server.start()


def _with_its_data(server: RedisServer) -> None:
    server.restart(keep_data=True)


@pytest.mark.parametrize("restart", [_emptied, _with_its_data])
def test_restart_of_redis(
    restart: Callable[[RedisServer], None], mirror: Mirror, writer: Writer, own_servers: EmbeddedServers
) -> None:
    writer.start()
    mirror.start().wait_caught_up()
    eventually(mirror.backlog)
    restart(own_servers.redis)
    mirror.wait_applied(500)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)


def test_redis_set_back_to_an_older_state(mirror: Mirror, writer: Writer, own_servers: EmbeddedServers) -> None:
    writer.start()
    mirror.start().wait_caught_up()
    worker = mirror.workers[0]
    mirror.freeze_when(worker, mirror.backlog, "changes waiting in the logs")
    with Redis.from_url(own_servers.redis.url) as client:
        client.save()
    worker.thaw()
    mirror.wait_applied(500)
    own_servers.redis.kill()
    own_servers.redis.start()
    mirror.wait_applied(500)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_stop_and_start_of_postgresql(
    mode: Literal["fast", "immediate"], mirror: Mirror, writer: Writer, own_servers: EmbeddedServers
) -> None:
    writer.start()
    mirror.start().wait_caught_up()
    eventually(mirror.steps_under_way)
    own_servers.postgresql.stop(mode)
    written = writer.changes
    eventually(lambda: writer.changes > written + 500)
    own_servers.postgresql.start()
    mirror.wait_applied(500)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)
