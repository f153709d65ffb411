"""How every schema and table stands: what `status` shows, and `/readyz` and the metrics are made from.

Reading it is `warp.monitoring.survey`'s, showing it is left to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from warp.change import dotted
from warp.metadata.base import Block, KeptValues, LoggedError
from warp.monitoring.stalls import Trouble


class State(StrEnum):
    """What a schema or a table is doing. `PLANNED`, `BLOCKED` and `EXCLUDED` are said of tables alone, `NEW`, `STOPPED`
    and `STALLED` of schemas."""

    NEW = "new"
    """Its stream has never been opened."""
    PLANNED = "planned"
    """Its first load has not begun."""
    LOADING = "loading"
    """Its first load is under way, or that of one of its tables."""
    STREAMING = "streaming"
    STOPPED = "stopped"
    """No tailer follows it."""
    STALLED = "stalled"
    """Its source goes on, and it does not."""
    BLOCKED = "blocked"
    """Nothing can be applied to it until a person acts."""
    EXCLUDED = "excluded"
    """The configuration keeps it from being mirrored; what was mirrored of it stays as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """One table. What is None cannot be said now."""

    name: str
    state: State
    lag_seconds: float | None
    """At most this far behind; None until its first load is done."""
    backlog_changes: int | None
    backlog_bytes: int | None
    rows_loaded: int
    changes_applied: int
    dead_letters: int
    """Changes that could not be applied and wait for somebody to decide."""
    documents_estimate: int
    """Documents there were when the schema's stream was first opened."""
    chunks: int
    chunks_loaded: int
    blocked: Block | None
    target: str
    """Its table as the destination names it."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The columns that are not called as their fields are, by the field; only where they were asked for."""
    kept: tuple[KeptValues, ...] = ()
    """Values that were kept in `_extra`, the most frequent first; only where they were asked for."""

    def to_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        return {
            "name": self.name,
            "target": self.target,
            "renamed_columns": [{"name": dotted(name), "becomes": column} for name, column in self.renamed.items()],
            "kept_in_extra": [_kept(kept) for kept in self.kept],
            "state": self.state.value,
            "lag_seconds": self.lag_seconds,
            "backlog_changes": self.backlog_changes,
            "backlog_bytes": self.backlog_bytes,
            "rows_loaded": self.rows_loaded,
            "changes_applied": self.changes_applied,
            "dead_letters": self.dead_letters,
            "documents_estimate": self.documents_estimate,
            "chunks": self.chunks,
            "chunks_loaded": self.chunks_loaded,
            "blocked": None
            if self.blocked is None
            else {
                "reason": self.blocked.reason,
                "remedy": self.blocked.remedy,
                "since": self.blocked.since.isoformat(),
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """One schema. What is None cannot be said now; `notes` say why."""

    name: str
    state: State
    lag_seconds: float | None
    """Between the source's time and the checkpoint's; 0 where everything that the source has is applied."""
    backlog_changes: int | None
    oplog_headroom_seconds: float | None
    """How long the tailer may stay away before the source has thrown away what it needs."""
    checkpoint_age_seconds: float | None
    """Since the checkpoint was last saved, by this machine's clock."""
    stalled: Trouble | None
    """Why nothing gets on although the source does."""
    headroom_short: Trouble | None
    """The headroom is less than it should be."""
    tables: tuple[TableStatus, ...]
    errors: tuple[LoggedError, ...]
    """Those that were met last, newest first."""
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        return {
            "name": self.name,
            "state": self.state.value,
            "lag_seconds": self.lag_seconds,
            "backlog_changes": self.backlog_changes,
            "oplog_headroom_seconds": self.oplog_headroom_seconds,
            "checkpoint_age_seconds": self.checkpoint_age_seconds,
            "stalled": self.stalled.to_json() if self.stalled else None,
            "headroom_short": self.headroom_short.to_json() if self.headroom_short else None,
            "tables": [table.to_json() for table in self.tables],
            "errors": [_error(error) for error in self.errors],
            "notes": list(self.notes),
        }


def _kept(kept: KeptValues) -> dict[str, Any]:
    return {
        "field": None if kept.field is None else dotted(kept.field),
        "reason": kept.reason,
        "values": kept.values,
        "first_at": kept.first_at.isoformat(),
        "last_at": kept.last_at.isoformat(),
    }


def _error(error: LoggedError) -> dict[str, Any]:
    return {
        "table": error.table,
        "class": error.error_class,
        "error": error.error,
        "remedy": error.remedy,
        "correlation_id": error.correlation_id,
        "first_at": error.first_at.isoformat(),
        "last_at": error.last_at.isoformat(),
        "age_seconds": round(max(0.0, (datetime.now(UTC) - error.last_at).total_seconds()), 1),
        "occurrences": error.occurrences,
    }
