"""A worker that stands still within a step: another one takes its partition over, and it does no harm when it wakes."""

from __future__ import annotations

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually

TAKEN_OVER_SECONDS = 15.0


def test_a_worker_frozen_within_a_step_is_replaced(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror = make_mirror(endpoints, schema)
    writer = make_writer(endpoints, schema, seed=41, collections=["orders"])
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    first = mirror.workers[0]
    mirror.freeze_when(first, lambda: _between_two_statements(mirror), "the worker between two statements of a step")
    second = mirror.fleet.worker(mirror.config)
    applied = mirror.applied()
    eventually(lambda: mirror.applied() > applied, TAKEN_OVER_SECONDS, what="the second worker applies")
    first.thaw()
    mirror.wait_applied(300)
    eventually(lambda: "connection" in first.output() or "idle" in first.output(), what="the first noticed")
    second.kill()
    mirror.wait_applied(300)
    mirror.end_identical(writer)
    assert first.running


def _between_two_statements(mirror: Mirror) -> int:
    """Transactions that hold a marker and wait for the worker's next statement."""
    return mirror.number(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE relation = 'cartridge_warp.sync_markers'::regclass AND mode = 'RowShareLock' AND granted "
        "AND state = 'idle in transaction'"
    )
