"""Real servers for the tests, a fresh database of each for every test, and processes whose logs show on failure.

Where the servers cannot be started a test that needs them is skipped; in continuous integration (`CI`) it fails.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from itertools import count, cycle
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from tests.support.endpoints import Endpoints, write_config
from tests.support.fleet import Fleet
from tests.support.postgresql import drop_database, make_template, migrated_database
from tests.support.properties import register_profiles
from warp.embedded import EmbeddedServers
from warp.errors import EmbeddedUnavailable

register_profiles()

_redis_databases = cycle(range(1, 16))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The ends of the logs of a failed test's processes go into its report."""
    report = yield
    fleet = getattr(item, "funcargs", {}).get("fleet")
    if report.failed and isinstance(fleet, Fleet):
        report.sections.extend((f"log of {name}", text) for name, text in fleet.logs())
    return report


def _started() -> Iterator[EmbeddedServers]:
    """Servers with a migrated template database in PostgreSQL."""
    servers = EmbeddedServers()
    try:
        servers.start()
    except EmbeddedUnavailable as error:
        servers.stop()
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the servers cannot be started here: {error}")
    try:
        make_template(servers)
        yield servers
    finally:
        servers.stop()


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """MongoDB, Redis and PostgreSQL that all tests share: not to be stopped, flushed or reconfigured."""
    yield from _started()


@pytest.fixture
def own_servers() -> Iterator[EmbeddedServers]:
    """MongoDB, Redis and PostgreSQL of this test alone, to be treated as badly as it likes."""
    yield from _started()


@pytest.fixture
def mongo_uri(servers: EmbeddedServers) -> str:
    """The connection string of the shared replica set."""
    return servers.mongodb.uri


@pytest.fixture
def redis_url(servers: EmbeddedServers) -> Iterator[str]:
    """The connection string of an empty logical database."""
    url = servers.redis.url.removesuffix("/0") + f"/{next(_redis_databases)}"
    with Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def pg_dsn(servers: EmbeddedServers) -> Iterator[str]:
    """The connection string of a database with empty metadata tables."""
    dsn = migrated_database(servers)
    yield dsn
    drop_database(servers, dsn)


@pytest.fixture
def database(mongo_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty MongoDB database of a name of its own: also the name of the schema that mirrors it."""
    name = f"test_{uuid4().hex[:12]}"
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client[name]
        client.drop_database(name)


class ConfigFile(Protocol):
    """Writes configurations for this test's servers."""

    def __call__(self, *schemas: str | Mapping[str, Any], **settings: Any) -> Path:
        """A new file; `schemas` as `write_config` takes them, by default the one of `database`."""


@pytest.fixture
def config_file(
    mongo_uri: str, redis_url: str, pg_dsn: str, database: Database[dict[str, Any]], tmp_path: Path
) -> ConfigFile:
    """Configurations for `mongo_uri`, `redis_url` and `pg_dsn`."""
    endpoints = Endpoints(mongo_uri=mongo_uri, redis_url=redis_url, pg_dsn=pg_dsn)
    numbers = count(1)

    def write(*schemas: str | Mapping[str, Any], **settings: Any) -> Path:
        path = tmp_path / f"config-{next(numbers)}.yaml"
        return write_config(path, endpoints, schemas or [database.name], **settings)

    return write


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Real processes, ended with the test."""
    with Fleet(tmp_path) as started:
        yield started
