"""One mirror under test: its configuration, its processes, and how far it has come, by what has been committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints, write_config
from tests.support.fleet import Fleet, Process
from tests.support.wait import DEADLINE_SECONDS, eventually
from tests.support.writer import Writer
from warp.config import Config, load_config
from warp.connections import Connections, open_connections

_LOOKS = 20
"""Far more than one, which may come before PostgreSQL has read what is there."""


class Mirror:
    """A fleet that mirrors some schemas between given servers."""

    tailers: dict[str, Process]
    """By schema."""
    workers: list[Process]
    scheduler: Process

    def __init__(
        self, fleet: Fleet, endpoints: Endpoints, config: Path, *schemas: str | Mapping[str, Any], **settings: Any
    ) -> None:
        """`schemas` and `settings` as `write_config` takes them, which writes them to `config`."""
        self.fleet = fleet
        self.endpoints = endpoints
        self.config = write_config(config, endpoints, schemas, **settings)
        self.names = [schema.name for schema in self.settings.schemas]
        self.looking: Connections = open_connections(self.settings)
        self._session: psycopg.Connection | None = None

    @property
    def settings(self) -> Config:
        """The configuration as the processes read it."""
        return load_config(self.config, {})

    @property
    def tailer(self) -> Process:
        """The tailer of the only schema."""
        [tailer] = self.tailers.values()
        return tailer

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [*self.tailers.values(), *self.workers, self.scheduler]

    def start(self, *, workers: int = 1) -> Self:
        """Start tailers, one for each schema, workers and a scheduler."""
        self.tailers = {name: self.fleet.tailer(self.config, name) for name in self.names}
        self.workers = [self.fleet.worker(self.config) for _ in range(workers)]
        self.scheduler = self.fleet.scheduler(self.config)
        return self

    def backlog(self) -> int:
        """Changes that lie in the logs. Raises ServerUnreachable where Redis is away."""
        return sum(log.changes for name in self.names for log in self.looking.logs.backlog(name).values())

    def applied(self) -> int:
        """Changes applied so far."""
        return self.number("SELECT coalesce(sum(changes_applied), 0) FROM cartridge_warp.sync_markers")

    def steps_under_way(self) -> int:
        """Transactions of workers that hold a marker and have not committed."""
        return self.number(
            "SELECT count(*) FROM pg_locks WHERE relation = 'cartridge_warp.sync_markers'::regclass "
            "AND mode = 'RowShareLock' AND granted"
        )

    def chunks_partly_loaded(self) -> int:
        """Chunks of first loads that are loaded in part."""
        return self.number(
            "SELECT count(*) FROM cartridge_warp.snapshot_chunks WHERE rows_loaded > 0 AND finished_at IS NULL"
        )

    def loaded(self) -> int:
        """Rows of first loads that are written and noted."""
        return self.number("SELECT coalesce(sum(rows_loaded), 0) FROM cartridge_warp.snapshot_chunks")

    def loads_open(self) -> int:
        """Tables whose first load is not finished."""
        return self.number("SELECT count(*) FROM cartridge_warp.sync_tables WHERE snapshot IN ('planned', 'loading')")

    def number(self, query: str) -> int:
        """The one number that a query of the target gives."""
        [(number,)] = self.query(query)
        return int(number)

    def query(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of the target. A session that PostgreSQL has ended is replaced, by one that may be refused in turn."""
        try:
            return self._ask(query, values)
        except psycopg.OperationalError:
            if self._session is None:
                raise
            self._leave()
            return self._ask(query, values)

    def _ask(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        # One session for all: tests ask every few milliseconds, and to open one costs as much as a hundred questions.
        if self._session is None:
            # Nothing prepared: tables change their columns between two questions.
            self._session = psycopg.connect(self.endpoints.pg_dsn, autocommit=True, prepare_threshold=None)
        return self._session.execute(query.encode(), values or None).fetchall()

    def _leave(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def checkpoint(self) -> str:
        """The saved position; the beginning before there is one."""
        return "".join(position for (position,) in self.query("SELECT checkpoint FROM cartridge_warp.sync_schemas"))

    def checkpoint_saves(self, times: int) -> None:
        """Wait until the checkpoint was saved so many times more."""
        for _ in range(times):
            before = self._saved_at()
            eventually(partial(self._saved_since, before), what="the checkpoint saved")

    def _saved_at(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT schema_name, checkpointed_at FROM cartridge_warp.sync_schemas ORDER BY 1")

    def _saved_since(self, before: list[tuple[Any, ...]]) -> bool:
        return all(now != then for now, then in zip(self._saved_at(), before, strict=True))

    def for_sure(self, condition: Callable[[], object]) -> bool:
        """Whether it holds in look after look at PostgreSQL: what a frozen process had sent has arrived by the last."""
        return all(condition() for _ in range(_LOOKS))

    def freeze_when(
        self, process: Process, condition: Callable[[], object], what: str, deadline: float = DEADLINE_SECONDS
    ) -> None:
        """Freeze a process at a moment at which the condition holds, and goes on holding while it is frozen."""

        def caught() -> bool:
            process.freeze()
            if condition():
                return True
            process.thaw()
            return False

        eventually(caught, deadline, what=what)

    def wait_applied(self, more: int) -> None:
        """Wait until so many more changes are applied."""
        enough = self.applied() + more
        eventually(lambda: self.applied() >= enough, what=f"{more} more changes applied")

    def wait_caught_up(self, deadline: float = DEADLINE_SECONDS) -> None:
        """Wait until everything is loaded, and all that has been written so far is applied."""
        ts = self.looking.source.now()

        def caught_up() -> bool:
            behind = f"SELECT count(*) FILTER (WHERE checkpoint_ts >= {ts}) FROM cartridge_warp.sync_schemas"
            return self.number(behind) == len(self.names) and not self.loads_open()

        eventually(caught_up, deadline, what="everything loaded and applied")

    def end_identical(self, writer: Writer) -> dict[tuple[str, str], int]:
        """Let the writer end, catch up, and not one document differs; the documents of each table."""
        writer.stop()
        self.wait_caught_up()
        return assert_identical(self.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        self.looking.close()
