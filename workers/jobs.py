"""The functions that RQ calls, by the paths of `warp.transport.jobs`."""

from __future__ import annotations

from warp.change import TableRef
from warp.traces import trace
from warp.transport.base import Wakeup
from workers import context
from workers.replay import ReplayFailed


def apply_v1(schema: str, table: str, number: int, of: int, correlation_id: str) -> None:
    """Drain a partition's log."""
    context.current().apply(Wakeup("apply", TableRef(schema, table), number, of), correlation_id)


def load_v1(schema: str, table: str, chunk: int, _: int, correlation_id: str) -> None:
    """Load a chunk of a table's snapshot."""
    context.current().load(Wakeup("load", TableRef(schema, table), chunk, 0), correlation_id)


def replay_v1(letter: int) -> None:
    """Replay a dead letter. Raises ReplayFailed, so that the job is a failed one again: RQ shows and logs what is
    raised, and what it was raised from, which may hold document values."""
    try:
        replayed = context.replayer().replay(letter)
    except Exception as error:
        raise ReplayFailed(trace(error)) from None
    if replayed.error is not None:
        raise ReplayFailed(replayed.traceback or str(replayed.error))
