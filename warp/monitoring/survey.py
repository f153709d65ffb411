"""Reading how every schema and table stands from the metadata, the logs and the source.

PostgreSQL says what is done, so that without it there is no status; without Redis the backlog is unknown, without
the source the lag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from warp.change import cluster_seconds
from warp.config import Config
from warp.connections import Connections
from warp.destinations.base import Destination
from warp.errors import WarpError
from warp.metadata.base import Metadata, SchemaState, SnapshotState, TableState
from warp.monitoring.stalls import ALIVE_SECONDS, SAME_SECONDS, Around, Trouble, short_headroom, stalled
from warp.monitoring.status import SchemaStatus, State, TableStatus
from warp.transport.base import Backlog
from warp.transport.workers import alive

ERRORS = 5
"""Errors of a schema that are told."""
_TABLE_STATES = {SnapshotState.PLANNED: State.PLANNED, SnapshotState.LOADING: State.LOADING}


def read_status(config: Config, connections: Connections, only: str | None) -> tuple[SchemaStatus, ...]:
    """The status of every schema with a stream, or of `only`, in the order of the configuration.

    Raises what the metadata store raises; that Redis or the source is away is no error.
    """
    reader = _Reader(config, connections)
    return tuple(reader.schema(schema.name) for schema in config.stream_schemas(only))


def with_names(schema: SchemaStatus, destination: Destination) -> SchemaStatus:
    """The status with the columns that are not called as their fields are, which takes reading every shape."""
    shapes = destination.tables(schema.name)
    tables = (
        replace(table, renamed=shapes[table.name].renamed) if table.name in shapes else table for table in schema.tables
    )
    return replace(schema, tables=tuple(tables))


def with_kept(schema: SchemaStatus, metadata: Metadata) -> SchemaStatus:
    """The status with the values that were kept in `_extra`."""
    kept = metadata.kept_values(schema.name)
    return replace(schema, tables=tuple(replace(each, kept=tuple(kept.get(each.name, ()))) for each in schema.tables))


class _Reader:
    """Asks a server that is away only once, as each attempt may take its time-out."""

    def __init__(self, config: Config, connections: Connections) -> None:
        self._config = config
        self._connections = connections
        self._away: dict[str, str] = {}

    def schema(self, name: str) -> SchemaStatus:
        metadata = self._connections.destination.metadata
        state = metadata.schema(name)
        tables = metadata.tables(name)
        left_out = self._left_out(name, tables)
        logs = self._logs(name)
        source_ts, headroom = self._source(state)
        now = datetime.now(UTC)
        age = None if state is None else max(0.0, (now - state.checkpointed_at).total_seconds())
        trouble = None if state is None else self._stalled(state, tables, logs, source_ts, now)
        what = _state(age, tables, trouble)
        backlog = None if logs is None else sum(log.changes for log in logs.values())
        lag = (
            None
            if state is None or source_ts is None
            else _lag(state, source_ts, backlog, alive=what is not State.STOPPED)
        )
        return SchemaStatus(
            name=name,
            state=what,
            lag_seconds=lag,
            backlog_changes=backlog,
            oplog_headroom_seconds=headroom,
            checkpoint_age_seconds=age,
            stalled=trouble,
            headroom_short=short_headroom(headroom, self._config.monitoring.min_oplog_headroom_hours),
            tables=tuple(
                _table(
                    table,
                    self._connections.destination.target(table.ref),
                    lag,
                    logs,
                    excluded=table.ref.table in left_out,
                )
                for table in tables
            ),
            errors=tuple(metadata.errors(name, ERRORS)),
            notes=(
                *self._away.values(),
                *([_HEADROOM_UNKNOWN] if source_ts is not None and headroom is None else []),
                *([f"excluded by the configuration: {', '.join(sorted(left_out))}"] if left_out else []),
            ),
        )

    def _left_out(self, schema: str, tables: list[TableState]) -> set[str]:
        """The excluded tables, as far as the mirror has met them."""
        if self._config.table_filter(schema) is None:
            return set()
        met = {table.ref.table for table in tables} | self._connections.destination.metadata.excluded(schema)
        return {table for table in met if not self._config.mirrors(schema, table)}

    def _stalled(
        self,
        state: SchemaState,
        tables: list[TableState],
        logs: Mapping[str, Backlog] | None,
        source_ts: int | None,
        now: datetime,
    ) -> Trouble | None:
        blocked = {table.ref.table for table in tables if table.blocked is not None}
        around = Around(
            source_ts=source_ts,
            backlog=None if logs is None else _sum(log for table, log in logs.items() if table not in blocked),
            workers=self._workers(),
            high_water_mark=self._config.log_high_water_mark,
        )
        return stalled(state, tables, around, now, self._config.monitoring.stall_seconds)

    def _workers(self) -> int | None:
        if "logs" in self._away:
            return None
        try:
            return alive(self._connections.redis, self._connections.redis_address)
        except WarpError as error:
            self._away["logs"] = f"backlog unknown: {error}"
            return None

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
            tables[table] = _sum([tables[table], log])
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


_HEADROOM_UNKNOWN = (
    "oplog headroom unknown, so that nothing warns before the oplog has run away: "
    "the source must be a replica set and its user have clusterMonitor"
)


def _sum(logs: Iterable[Backlog]) -> Backlog:
    total = Backlog(0, 0)
    for log in logs:
        total = Backlog(total.changes + log.changes, total.bytes + log.bytes)
    return total


def _state(age: float | None, tables: list[TableState], trouble: Trouble | None) -> State:
    if age is None:
        return State.NEW
    if age > ALIVE_SECONDS:
        return State.STOPPED
    if trouble is not None:
        return State.STALLED
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


def _table(
    table: TableState, target: str, lag: float | None, logs: Mapping[str, Backlog] | None, *, excluded: bool
) -> TableStatus:
    log = None if logs is None else logs.get(table.ref.table, Backlog(0, 0))
    blocked = None if excluded else table.blocked
    state = State.BLOCKED if blocked else _TABLE_STATES.get(table.snapshot, State.STREAMING)
    return TableStatus(
        name=table.ref.table,
        state=State.EXCLUDED if excluded else state,
        lag_seconds=None if table.snapshot.open or excluded else lag,
        backlog_changes=None if log is None else log.changes,
        backlog_bytes=None if log is None else log.bytes,
        rows_loaded=table.rows_loaded,
        changes_applied=table.changes_applied,
        dead_letters=table.open_letters,
        documents_estimate=table.documents_estimate,
        chunks=table.chunks,
        chunks_loaded=table.chunks_loaded,
        blocked=blocked,
        target=target,
    )
