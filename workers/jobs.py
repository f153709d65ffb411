"""The functions that RQ calls, by the paths of `warp.transport.jobs`."""

from __future__ import annotations

from warp.change import TableRef
from warp.transport.base import Wakeup
from workers import context


def apply_v1(schema: str, table: str, number: int, of: int, correlation_id: str) -> None:
    """Drain a partition's log."""
    context.current().apply(Wakeup("apply", TableRef(schema, table), number, of), correlation_id)


def load_v1(schema: str, table: str, chunk: int, _: int, correlation_id: str) -> None:
    """Load a chunk of a table's snapshot."""
    context.current().load(Wakeup("load", TableRef(schema, table), chunk, 0), correlation_id)
