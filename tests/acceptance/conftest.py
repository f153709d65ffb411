"""Mirrors of real processes, on shared servers or on servers of their own, beside a writer that keeps changing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database

from tests.support.endpoints import Endpoints
from tests.support.fleet import Fleet
from tests.support.mirror import Mirror
from tests.support.postgresql import migrated_database
from tests.support.writer import Writer
from warp.embedded import EmbeddedServers

MakeMirror = Callable[..., Mirror]
MakeWriter = Callable[..., Writer]


@pytest.fixture
def endpoints(mongo_uri: str, redis_url: str, pg_dsn: str) -> Endpoints:
    """The shared servers, with databases of this test's own."""
    return Endpoints(mongo_uri=mongo_uri, redis_url=redis_url, pg_dsn=pg_dsn)


@pytest.fixture
def own_endpoints(own_servers: EmbeddedServers) -> Endpoints:
    """Where `own_servers` are."""
    return Endpoints(
        mongo_uri=own_servers.mongodb.uri,
        redis_url=own_servers.redis.url,
        pg_dsn=migrated_database(own_servers),
    )


@pytest.fixture
def schema(database: Database[dict[str, Any]]) -> str:
    """The name of a MongoDB database of the shared servers that goes with the test."""
    return database.name


@pytest.fixture
def make_mirror(fleet: Fleet, tmp_path: Path) -> Iterator[MakeMirror]:
    """`make_mirror(endpoints, *schemas, **settings)`: see `Mirror`."""
    with ExitStack() as stack:

        def make(endpoints: Endpoints, *schemas: Any, **settings: Any) -> Mirror:
            config = tmp_path / f"config-{uuid4().hex[:6]}.yaml"
            return stack.enter_context(Mirror(fleet, endpoints, config, *schemas, **settings))

        yield make


@pytest.fixture
def make_writer() -> Iterator[MakeWriter]:
    """`make_writer(endpoints, *databases, seed=…, collections=…)`: see `Writer`; ended with the test."""
    with ExitStack() as stack:

        def make(endpoints: Endpoints, *databases: str, **options: Any) -> Writer:
            return stack.enter_context(Writer(endpoints.mongo_uri, databases, **options))

        yield make
