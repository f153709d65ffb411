"""How far a mirror has come, as seen from outside: first loads, changes applied, lag and backlog.

Everything but the backlog is what PostgreSQL says has been committed. Showing it is left to `warp.monitoring.display`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from warp.change import TableRef, cluster_seconds
from warp.metadata.base import Metadata
from warp.sources.base import Source
from warp.transport.base import Logs

PACE_SECONDS = 3.0
"""Rates are those of about the last so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProgress:
    """One table."""

    ref: TableRef
    loading: bool
    documents: int
    """Documents of the first load, by estimate while it lasts."""
    loaded: int
    applied: int
    """Changes applied."""
    backlog: int
    """Changes that lie in the logs."""
    letters: int
    """Changes that could not be applied."""
    blocked: str | None = None
    """Why nothing can be applied until a person acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaProgress:
    """One schema. `checkpoint_ts` is None before its tailer has begun; everything up to it is applied."""

    name: str
    checkpoint_ts: int | None
    source_ts: int
    tables: Sequence[TableProgress]

    @property
    def loading(self) -> bool:
        """Whether the first load of a table is not finished."""
        return self.checkpoint_ts is None or any(table.loading for table in self.tables)

    @property
    def lag_seconds(self) -> int | None:
        """The source's cluster time less that of the checkpoint; None before there is one."""
        if self.checkpoint_ts is None:
            return None
        return max(0, cluster_seconds(self.source_ts) - cluster_seconds(self.checkpoint_ts))

    def caught_up(self, ts: int) -> bool:
        """Whether all documents are loaded, and all changes up to the cluster time `ts` applied."""
        return self.checkpoint_ts is not None and not self.loading and self.checkpoint_ts >= ts


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All that is watched, at one moment."""

    schemas: Sequence[SchemaProgress]
    rate: float
    """Changes applied a second."""
    load_rate: float
    """Documents loaded a second."""

    @property
    def tables(self) -> list[TableProgress]:
        """The tables of all schemas."""
        return [table for schema in self.schemas for table in schema.tables]

    @property
    def begun(self) -> bool:
        """Whether every schema's tailer has begun."""
        return all(schema.checkpoint_ts is not None for schema in self.schemas)

    @property
    def loading(self) -> bool:
        """Whether a first load is not finished."""
        return any(schema.loading for schema in self.schemas)

    @property
    def documents(self) -> int:
        """Documents of all first loads."""
        return sum(table.documents for table in self.tables)

    @property
    def loaded(self) -> int:
        """Documents loaded."""
        return sum(table.loaded for table in self.tables)

    @property
    def applied(self) -> int:
        """Changes applied."""
        return sum(table.applied for table in self.tables)

    @property
    def backlog(self) -> int:
        """Changes that lie in the logs."""
        return sum(table.backlog for table in self.tables)

    @property
    def letters(self) -> int:
        """Changes that could not be applied."""
        return sum(table.letters for table in self.tables)

    @property
    def lag_seconds(self) -> int | None:
        """The lag of the schema that is furthest behind; None while one has not begun."""
        lags = [schema.lag_seconds for schema in self.schemas]
        return None if None in lags else max((lag for lag in lags if lag is not None), default=None)

    def caught_up(self, ts: int) -> bool:
        """Whether every schema is caught up with the cluster time `ts`."""
        return all(schema.caught_up(ts) for schema in self.schemas)


class Watch:
    """Observes schemas, and how fast they move from one observation to the next."""

    def __init__(self, schemas: Sequence[str], source: Source, metadata: Metadata, logs: Logs) -> None:
        self._schemas = schemas
        self._source = source
        self._metadata = metadata
        self._logs = logs
        self._seen: deque[tuple[float, int, int]] = deque()

    def observe(self, now: float) -> Progress:
        """How it stands; `now` in seconds, only ever growing. Raises Transient, Fatal or ServerUnreachable."""
        source_ts = self._source.now()
        schemas = [self._schema(schema, source_ts) for schema in self._schemas]
        seen = Progress(schemas=schemas, rate=0.0, load_rate=0.0)
        self._seen.append((now, seen.applied, seen.loaded))
        while len(self._seen) > 2 and self._seen[0][0] < now - PACE_SECONDS:
            self._seen.popleft()
        then, applied, loaded = self._seen[0]
        seconds = max(now - then, 0.001)
        return Progress(
            schemas=schemas, rate=(seen.applied - applied) / seconds, load_rate=(seen.loaded - loaded) / seconds
        )

    def _schema(self, name: str, source_ts: int) -> SchemaProgress:
        state = self._metadata.schema(name)
        backlogs: Counter[str] = Counter()
        for (table, _), backlog in self._logs.backlog(name).items():
            backlogs[table] += backlog.changes
        tables = [
            TableProgress(
                ref=table.ref,
                loading=table.snapshot.open,
                documents=max(table.rows_loaded, table.documents_estimate if table.snapshot.open else 0),
                loaded=table.rows_loaded,
                applied=table.changes_applied,
                backlog=backlogs[table.ref.table],
                letters=table.open_letters,
                blocked=table.blocked.reason if table.blocked else None,
            )
            for table in self._metadata.tables(name)
        ]
        return SchemaProgress(
            name=name, checkpoint_ts=state.checkpoint.ts if state else None, source_ts=source_ts, tables=tables
        )
