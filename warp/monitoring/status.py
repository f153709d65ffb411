"""How every schema and table stands, read from the metadata, the logs and the source.

PostgreSQL says what is done, so that without it there is no status; without Redis the backlog is unknown, without
the source the lag. Showing it is left to others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from warp.change import cluster_seconds
from warp.config import Config
from warp.connections import Connections
from warp.errors import WarpError
from warp.metadata.base import SchemaState, SnapshotState, TableState
from warp.transport.base import Backlog

ALIVE_SECONDS = 15.0
"""A tailer saves its checkpoint about once a second; one that has not for this long is not there."""
SAME_SECONDS = 1
"""The source's time and the end of its stream, as the tailer noted them together, may be this far apart."""


class State(StrEnum):
    """What a schema or a table is doing. `PLANNED` is said of tables alone, `NEW` and `STOPPED` of schemas."""

    NEW = "new"
    """Its stream has never been opened."""
    PLANNED = "planned"
    """Its first load has not begun."""
    LOADING = "loading"
    """Its first load is under way, or that of one of its tables."""
    STREAMING = "streaming"
    STOPPED = "stopped"
    """No tailer follows it."""


_TABLE_STATES = {SnapshotState.PLANNED: State.PLANNED, SnapshotState.LOADING: State.LOADING}


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

    def to_json(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        return {
            "name": self.name,
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
    tables: tuple[TableStatus, ...]
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
            "tables": [table.to_json() for table in self.tables],
            "notes": list(self.notes),
        }


def read_status(config: Config, connections: Connections, only: str | None) -> tuple[SchemaStatus, ...]:
    """The status of every schema with a stream, or of `only`, in the order of the configuration.

    Raises what the metadata store raises; that Redis or the source is away is no error.
    """
    reader = _Reader(connections)
    return tuple(reader.schema(schema.name) for schema in config.stream_schemas(only))


class _Reader:
    """Asks a server that is away only once, as each attempt may take its time-out."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._away: dict[str, str] = {}

    def schema(self, name: str) -> SchemaStatus:
        metadata = self._connections.destination.metadata
        state = metadata.schema(name)
        tables = metadata.tables(name)
        logs = self._logs(name)
        now, headroom = self._source(state)
        age = None if state is None else max(0.0, (datetime.now(UTC) - state.checkpointed_at).total_seconds())
        what = _state(age, tables)
        backlog = None if logs is None else sum(log.changes for log in logs.values())
        lag = None if state is None or now is None else _lag(state, now, backlog, alive=what is not State.STOPPED)
        return SchemaStatus(
            name=name,
            state=what,
            lag_seconds=lag,
            backlog_changes=backlog,
            oplog_headroom_seconds=headroom,
            checkpoint_age_seconds=age,
            tables=tuple(_table(table, lag, logs) for table in tables),
            notes=tuple(self._away.values()),
        )

    def _logs(self, schema: str) -> Mapping[str, Backlog] | None:
        if "logs" in self._away:
            return None
        try:
            partitions = self._connections.logs.backlog(schema)
        except WarpError as error:
            self._away["logs"] = f"backlog unknown: {error}"
            return None
        tables: dict[str, Backlog] = defaultdict(lambda: Backlog(0, 0))
        for (table, _), log in partitions.items():
            tables[table] = Backlog(tables[table].changes + log.changes, tables[table].bytes + log.bytes)
        return tables

    def _source(self, state: SchemaState | None) -> tuple[int | None, float | None]:
        """The source's time, and the headroom of the checkpoint."""
        if state is None or "source" in self._away:
            return None, None
        source = self._connections.source
        try:
            return source.now(), source.headroom_seconds(state.checkpoint.ts)
        except WarpError as error:
            self._away["source"] = f"lag unknown: {error}"
            return None, None


def _state(age: float | None, tables: list[TableState]) -> State:
    if age is None:
        return State.NEW
    if age > ALIVE_SECONDS:
        return State.STOPPED
    return State.LOADING if any(table.snapshot.open for table in tables) else State.STREAMING


def _lag(state: SchemaState, now: int, backlog: int | None, *, alive: bool) -> float:
    """Seconds between the source's time and the checkpoint's, or 0 where there is nothing between them to be applied.

    An idle source's time moves in steps (MongoDB writes a no-op every 10 seconds), which the checkpoint follows a
    moment later. That is no lag as long as a tailer that lives had, when it last looked, nothing left to do.
    """
    left = cluster_seconds(state.source_ts) - cluster_seconds(state.checkpoint.ts)
    if alive and not backlog and left <= SAME_SECONDS:
        return 0.0
    return float(max(0, cluster_seconds(now) - cluster_seconds(state.checkpoint.ts)))


def _table(table: TableState, lag: float | None, logs: Mapping[str, Backlog] | None) -> TableStatus:
    log = None if logs is None else logs.get(table.ref.table, Backlog(0, 0))
    return TableStatus(
        name=table.ref.table,
        state=_TABLE_STATES.get(table.snapshot, State.STREAMING),
        lag_seconds=None if table.snapshot.open else lag,
        backlog_changes=None if log is None else log.changes,
        backlog_bytes=None if log is None else log.bytes,
        rows_loaded=table.rows_loaded,
        changes_applied=table.changes_applied,
        dead_letters=table.open_letters,
        documents_estimate=table.documents_estimate,
        chunks=table.chunks,
        chunks_loaded=table.chunks_loaded,
    )
