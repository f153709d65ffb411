"""The primary of a replica set of three steps down, and is killed, in mid-stream and in mid-load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.wait import eventually
from warp.embedded import MongoReplicaSet

SECONDS = 60
"""How long who stepped down does not stand for election."""


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[MongoReplicaSet]:
    """Three members."""
    with MongoReplicaSet(tmp_path / "mongodb", members=3) as replica_set:
        yield replica_set


@pytest.fixture
def endpoints(replica_set: MongoReplicaSet, redis_url: str, pg_dsn: str) -> Endpoints:
    """That replica set, and the shared Redis and PostgreSQL."""
    return Endpoints(mongo_uri=replica_set.uri, redis_url=redis_url, pg_dsn=pg_dsn)


def _step_down(replica_set: MongoReplicaSet) -> None:
    replica_set.step_down(SECONDS)


def _kill(replica_set: MongoReplicaSet) -> None:
    primary = replica_set.primary()
    assert primary is not None
    replica_set.kill(primary)


@pytest.mark.parametrize("fall", [_step_down, _kill])
def test_another_member_becomes_primary(
    fall: Callable[[MongoReplicaSet], None],
    replica_set: MongoReplicaSet,
    endpoints: Endpoints,
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror = make_mirror(endpoints, "shop")
    writer = make_writer(endpoints, "shop", seed=9, collections=["orders", "products"])
    writer.preload(15_000)
    writer.start()
    mirror.start(workers=2)
    eventually(mirror.chunks_partly_loaded, what="a chunk loaded in part")
    before = replica_set.primary()
    fall(replica_set)
    eventually(lambda: replica_set.primary() not in (None, before), what="another primary")
    mirror.wait_caught_up()
    fall_again = replica_set.primary()
    assert before is not None
    if fall is _kill:
        replica_set.restart(before)
    eventually(mirror.backlog, what="changes waiting in the logs")
    fall(replica_set)
    eventually(lambda: replica_set.primary() not in (None, fall_again), what="a third primary")
    mirror.wait_applied(500)
    mirror.end_identical(writer)
    assert all(process.running for process in mirror.processes)
