"""Connections to one of the servers cut, delayed, stalled and refused by a proxy between it and the fleet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.chaos.proxies import Proxies, Proxy
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from tests.support.writer import Writer
from warp.embedded import MongoReplicaSet

DELAY_SECONDS = 0.2


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    with Proxies() as process:
        yield process


def _write(writer: Writer, more: int) -> None:
    enough = writer.changes + more
    eventually(lambda: writer.changes >= enough, what=f"{more} more changes written")


def _disturb(proxy: Proxy, mirror: Mirror, writer: Writer) -> None:
    """Each kind of disturbance in mid-stream, while some hundred changes come; the fleet goes on after each."""
    for disturbance in (proxy.stalling(), proxy.refusing(), proxy.delaying(DELAY_SECONDS)):
        eventually(mirror.backlog, what="changes waiting in the logs")
        with disturbance:
            _write(writer, 300)
        mirror.wait_applied(200)
    for _ in range(3):
        proxy.cut()
        mirror.wait_applied(50)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)


@pytest.mark.parametrize("server", ["redis_url", "pg_dsn"])
def test_redis_and_postgresql_behind_a_bad_network(
    server: str,
    endpoints: Endpoints,
    schema: str,
    proxies: Proxies,
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    address = getattr(endpoints, server)
    port = urlsplit(address).port
    assert port is not None
    proxy = proxies.add(port)
    behind = replace(endpoints, **{server: address.replace(f":{port}", f":{proxy.port}")})
    writer = make_writer(endpoints, schema, seed=21)
    writer.preload(100)
    writer.start()
    mirror = make_mirror(behind, schema).start(workers=2)
    mirror.wait_caught_up()
    _disturb(proxy, mirror, writer)


@pytest.fixture
def mongodb(tmp_path: Path, proxies: Proxies) -> Iterator[tuple[MongoReplicaSet, int, Proxy]]:
    """A MongoDB that sends everybody to its proxy, and its port past that. It outlives the mirror's processes."""
    added: dict[int, Proxy] = {}

    def advertise(port: int) -> int:
        added[port] = proxies.add(port)
        return added[port].port

    with MongoReplicaSet(tmp_path / "mongodb", advertise=advertise) as replica_set:
        [(port, proxy)] = added.items()
        yield replica_set, port, proxy


def test_mongodb_behind_a_bad_network(
    mongodb: tuple[MongoReplicaSet, int, Proxy],
    redis_url: str,
    pg_dsn: str,
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    replica_set, port, proxy = mongodb
    behind = Endpoints(mongo_uri=replica_set.uri, redis_url=redis_url, pg_dsn=pg_dsn)
    past = replace(behind, mongo_uri=f"mongodb://127.0.0.1:{port}/?directConnection=true")
    writer = make_writer(past, "shop", seed=22)
    writer.preload(100)
    writer.start()
    mirror = make_mirror(behind, "shop").start(workers=2)
    mirror.wait_caught_up()
    _disturb(proxy, mirror, writer)
