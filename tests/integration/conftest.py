"""One real part at a time: a source, a destination, logs and wake-ups, each on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pymongo.database import Database
from redis import Redis

from tests.conftest import ConfigFile
from tests.support.pipeline import Pipeline
from warp.config import load_config
from warp.connections import open_connections
from warp.destinations.postgresql.destination import PostgresDestination
from warp.destinations.postgresql.destination import open_destination as open_postgresql
from warp.sources.mongodb.source import MongoSource
from warp.sources.mongodb.source import open_source as open_mongodb
from warp.transport.client import connect
from warp.transport.logs import RedisLogs
from warp.transport.wakeups import RedisWakeups


@pytest.fixture
def source(mongo_uri: str) -> Iterator[MongoSource]:
    """MongoDB as a source."""
    source = open_mongodb(mongo_uri)
    yield source
    source.close()


@pytest.fixture
def destination(pg_dsn: str) -> Iterator[PostgresDestination]:
    """PostgreSQL as a destination, migrated."""
    destination = open_postgresql(pg_dsn)
    yield destination
    destination.close()


@pytest.fixture
def another(destination: PostgresDestination, pg_dsn: str) -> Iterator[PostgresDestination]:
    """The same destination over another connection."""
    another = open_postgresql(pg_dsn)
    yield another
    another.close()


@pytest.fixture
def postgresql(pg_dsn: str) -> Iterator[psycopg.Connection]:
    """A plain connection to the destination's database, in autocommit mode."""
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A plain client of an empty Redis database."""
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def logs(redis: Redis) -> RedisLogs:
    """Partition logs."""
    return RedisLogs(redis, "redis")


@pytest.fixture
def wakeups(redis: Redis) -> RedisWakeups:
    """Wake-ups."""
    return RedisWakeups(redis, "redis")


@pytest.fixture
def pipeline(config_file: ConfigFile, database: Database[dict[str, Any]]) -> Iterator[Pipeline]:
    """A pipeline of the test's database."""
    connections = open_connections(load_config(config_file(), {}))
    pipeline = Pipeline(connections, database.name)
    yield pipeline
    pipeline.tailer.close()
    connections.close()
