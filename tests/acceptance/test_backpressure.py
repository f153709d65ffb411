"""Logs that nobody drains, and a Redis that is full: everyone waits, the oplog is the buffer, and nothing is lost."""

from __future__ import annotations

from functools import partial

import pytest
from redis import Redis

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from tests.support.writer import Writer
from warp.embedded import EmbeddedServers

MOST_BYTES = 4 * 2**20
"""Of Redis's memory: half of it is for the logs, far less than `log_high_water_mark` allows."""
ENTRY_BYTES = 2 * 2**20
"""What may be sent beyond the mark at once, give or take: one reply of the change stream."""


@pytest.fixture
def mirror(own_endpoints: Endpoints, make_mirror: MakeMirror) -> Mirror:
    """A mirror on servers of its own, not started."""
    return make_mirror(own_endpoints, "shop")


@pytest.fixture
def writer(own_endpoints: Endpoints, make_writer: MakeWriter) -> Writer:
    """What keeps changing its source, not started."""
    writer = make_writer(own_endpoints, "shop", seed=8)
    writer.preload(100)
    return writer


def _log_bytes(mirror: Mirror) -> int:
    return sum(log.bytes for log in mirror.looking.logs.backlog("shop").values())


def _written(writer: Writer, enough: int) -> bool:
    return writer.changes >= enough


def test_without_workers_the_tailer_stops_at_its_share_of_redis(
    mirror: Mirror, writer: Writer, own_servers: EmbeddedServers
) -> None:
    writer.start()
    mirror.start().wait_caught_up()
    [worker] = mirror.workers
    assert worker.terminate() == 0
    with Redis.from_url(own_servers.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + MOST_BYTES)
        mark = mirror.looking.logs.capacity()
        assert mark is not None
        eventually(lambda: _log_bytes(mirror) >= mark // 2, what="the logs at their mark")
        written = writer.changes
        eventually(lambda: writer.changes > written + 3000, what="more written than Redis may hold")
        assert _log_bytes(mirror) < mark // 2 + ENTRY_BYTES
        worker.restart()
        mirror.wait_applied(3000)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)


def test_redis_out_of_memory_is_a_wait(mirror: Mirror, writer: Writer, own_servers: EmbeddedServers) -> None:
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    with Redis.from_url(own_servers.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        for _ in range(2):
            client.config_set("maxmemory", 1)
            enough = writer.changes + 1000
            eventually(partial(_written, writer, enough), what="much written meanwhile")
            assert all(process.running for process in mirror.processes)
            client.config_set("maxmemory", 0)
            mirror.wait_applied(500)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)


def test_workers_drain_the_logs_of_a_redis_without_memory(
    mirror: Mirror, writer: Writer, own_servers: EmbeddedServers
) -> None:
    """It may be the logs that fill it: then nobody else can make room, and there is no memory to wake a worker with."""
    mirror.start(workers=0)
    eventually(mirror.checkpoint, what="the stream opened")
    writer.start()
    eventually(lambda: mirror.backlog() > 500, what="changes in the logs")
    with Redis.from_url(own_servers.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        mirror.workers = [mirror.fleet.worker(mirror.config)]
        eventually(lambda: not mirror.backlog(), what="the logs drained")
        assert mirror.applied() > 500
        client.config_set("maxmemory", 0)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)
