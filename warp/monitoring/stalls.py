"""Whether a schema gets on, and whether its position will outlive its lag: each trouble with its reason. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warp.change import cluster_seconds
from warp.metadata.base import SchemaState, TableState
from warp.transport.base import Backlog

ALIVE_SECONDS = 15.0
"""A tailer saves its checkpoint about once a second; one that has not for this long is not there."""
SAME_SECONDS = 1
"""The source's time and the end of its stream, as the tailer noted them together, may be this far apart."""
_HOUR = 3600
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something is not as it should be, and what to do; neither holds document values."""

    reason: str
    remedy: str | None

    def to_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        return {"reason": self.reason, "remedy": self.remedy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known of what surrounds a schema. None: it cannot be said now."""

    source_ts: int | None
    """The source's latest cluster time."""
    backlog: Backlog | None
    """Of all its logs."""
    workers: int | None
    """How many live."""
    high_water_mark: int


def stalled(
    state: SchemaState, tables: Sequence[TableState], around: Around, now: datetime, patience: float
) -> Trouble | None:
    """Why the checkpoint has not moved for longer than `patience` seconds although the source's time has.

    None: it has, or nothing has happened at the source, or nobody can say. An idle source's time moves in steps of ten
    seconds, and the checkpoint with it.
    """
    seconds = (now - state.advanced_at).total_seconds()
    if around.source_ts is None or seconds <= patience:
        return None
    if cluster_seconds(around.source_ts) - cluster_seconds(state.checkpoint.ts) <= SAME_SECONDS:
        return None
    reason, remedy = _cause(state, tables, around, now)
    return Trouble(reason=f"nothing has got on for {seconds:,.0f} s: {reason}", remedy=remedy)


def _cause(state: SchemaState, tables: Sequence[TableState], around: Around, now: datetime) -> tuple[str, str | None]:
    silent = (now - state.checkpointed_at).total_seconds()
    if silent > ALIVE_SECONDS:
        remedy = f"start its tailer: cartridge-warp tailer --schema {state.name}"
        return f"no tailer follows it, its checkpoint was last saved {silent:,.0f} s ago", remedy
    blocks = [(table.ref.table, table.blocked) for table in tables if table.blocked is not None]
    if blocks:
        names = ", ".join(name for name, _ in blocks[:_MOST_NAMED]) + (", …" if len(blocks) > _MOST_NAMED else "")
        return f"nothing can be applied to {names}: {blocks[0][1].reason}", blocks[0][1].remedy
    if around.backlog is None:
        return "its logs cannot be reached", "bring Redis back"
    if not around.backlog.changes:
        return "its tailer does not get on", "see its log, and the last errors in cartridge-warp status"
    waiting = f"{around.backlog.changes:,} changes wait in its logs"
    if around.backlog.bytes >= around.high_water_mark:
        waiting += ", which are full, so that its tailer waits"
    if not around.workers:
        return f"{waiting}, and there is no worker", "start workers: cartridge-warp worker"
    return f"{waiting}, and the workers do not get on", "see their logs, and the last errors in cartridge-warp status"


def short_headroom(headroom: float | None, least_hours: float) -> Trouble | None:
    """Why the source may soon have thrown away what is still needed; `least_hours` 0 asks for nothing."""
    if headroom is None or headroom >= least_hours * _HOUR:
        return None
    least = f"monitoring.min_oplog_headroom_hours is {least_hours:g}"
    return Trouble(
        reason=f"at this lag the token dies in {_span(headroom)} ({least}): the schema would be read again whole",
        remedy="make the oplog larger (replSetResizeOplog), or run more workers",
    )


def _span(seconds: float) -> str:
    return f"{seconds / _HOUR:.1f} h" if seconds >= _HOUR / 10 else f"{max(0.0, seconds) / 60:.0f} min"
