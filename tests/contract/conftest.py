"""Every contract, over its in-memory implementation and over its real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymongo.database import Database
from redis import Redis

from tests.contract.destinations import DestinationBench, MemoryDestinationBench, PostgresBench
from tests.contract.sources import PIECE, MemoryBench, MongoBench, SourceBench
from tests.contract.transports import MemoryTransport, RedisTransport, TransportBench
from warp.sources.mongodb.source import open_source


@pytest.fixture(params=["memory", "mongodb"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceBench]:
    """A source over an empty schema."""
    if request.param == "memory":
        yield MemoryBench()
        return
    monkeypatch.setattr("warp.sources.mongodb.reads.BATCH", PIECE)
    monkeypatch.setattr("warp.sources.mongodb.reads.LOOKUP", PIECE)
    database: Database[dict[str, object]] = request.getfixturevalue("database")
    source = open_source(request.getfixturevalue("mongo_uri"))
    yield MongoBench(source, database)
    source.close()


@pytest.fixture(params=["memory", "postgresql"])
def target(request: pytest.FixtureRequest) -> Iterator[DestinationBench]:
    """A migrated destination without tables."""
    if request.param == "memory":
        yield MemoryDestinationBench()
        return
    bench = PostgresBench(request.getfixturevalue("pg_dsn"), request.getfixturevalue("servers"))
    yield bench
    bench.destination.close()


@pytest.fixture(params=["memory", "redis"])
def transport(request: pytest.FixtureRequest) -> Iterator[TransportBench]:
    """Empty logs and queues."""
    if request.param == "memory":
        yield MemoryTransport()
        return
    with Redis.from_url(request.getfixturevalue("redis_url")) as client:
        yield RedisTransport(client)
