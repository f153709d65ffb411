"""A worker frozen while it sends rows to PostgreSQL, which waits for it without any time-out of its own."""

from __future__ import annotations

from functools import partial

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually

TAKEN_OVER_SECONDS = 25.0
"""Ten until it counts as standing still, three until somebody looks, and the pauses of who waits for the partition."""


def test_a_worker_frozen_in_mid_copy_is_replaced(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror = make_mirror(endpoints, schema)
    writer = make_writer(endpoints, schema, seed=42, collections=["orders"])
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    [first] = mirror.workers
    mirror.freeze_when(first, lambda: mirror.for_sure(partial(_in_mid_copy, mirror)), "the worker in mid-COPY")
    mirror.fleet.worker(mirror.config)
    applied = mirror.applied()
    eventually(lambda: mirror.applied() > applied, TAKEN_OVER_SECONDS, what="the second worker applies")
    assert "stands still" in mirror.scheduler.output()
    first.thaw()
    mirror.wait_applied(300)
    mirror.end_identical(writer)
    assert first.running


def _in_mid_copy(mirror: Mirror) -> int:
    """Sessions in which PostgreSQL waits for rows."""
    return mirror.number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
        "AND query LIKE 'COPY %' AND wait_event = 'ClientRead'"
    )
