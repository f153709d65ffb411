"""A worker that stands still within a step: another one takes its partition over, and it does no harm when it wakes."""

from __future__ import annotations

from functools import partial

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
    [first] = mirror.workers
    [mine] = eventually(lambda: _holders(mirror), what="the first within a step")
    second = mirror.fleet.worker(mirror.config)
    eventually(lambda: _holders(mirror) - {mine}, what="the second within a step")
    between = partial(_holds_between_statements, mirror, mine)
    mirror.freeze_when(first, lambda: mirror.for_sure(between), "the first between two statements of a step")
    applied = mirror.applied()
    eventually(lambda: mirror.applied() > applied, TAKEN_OVER_SECONDS, what="the second applies")
    first.thaw()
    mirror.wait_applied(300)
    second.kill()
    mirror.wait_applied(300)
    mirror.end_identical(writer)
    assert first.running


def _holders(mirror: Mirror, *states: str) -> set[int]:
    """The sessions that hold the marker of the only table, in one of these states or in any."""
    held = mirror.query(
        "SELECT pid, state FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE relation = 'cartridge_warp.sync_markers'::regclass AND mode = 'RowShareLock' AND granted"
    )
    return {pid for pid, state in held if not states or state in states}


def _holds_between_statements(mirror: Mirror, session: int) -> bool:
    return session in _holders(mirror, "idle in transaction")
