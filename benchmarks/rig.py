"""What one part stands on: servers that nobody has used before, a fleet that is not running yet, and its progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
from bson import Timestamp
from pymongo import MongoClient

from benchmarks.fleet import Fleet, FleetFailed
from benchmarks.measures import Size
from benchmarks.usage import cpu_seconds, family_cpu_seconds
from benchmarks.workload import COLLECTION, DATABASE, Command, inserts
from benchmarks.writer import write
from warp.destinations.registry import open_destination
from warp.embedded import EmbeddedServers

STALL_SECONDS = 60.0
"""No progress for this long ends a measurement."""
_POLL_SECONDS = 0.02
_STREAMED = 500
"""Documents that come by the stream before anything is measured: the workers have met the table's queue then."""


class Rig:
    """A context manager that starts the servers, and ends them and the fleet on the way out."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._open = ExitStack()
        self._servers = EmbeddedServers()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            servers = opening.enter_context(self._servers)
            self.uri = servers.mongodb.uri
            self.mongodb = opening.enter_context(MongoClient[dict[str, Any]](self.uri))
            self.postgresql = opening.enter_context(psycopg.connect(servers.postgresql.dsn, autocommit=True))
            client = opening.enter_context(redis.Redis.from_url(servers.redis.url))
            destination = open_destination("postgresql", servers.postgresql.dsn)
            opening.callback(destination.close)
            destination.migrate()
            directory = servers.directory / "fleet"
            directory.mkdir()
            config = directory / "cartridge-warp.json"
            config.write_text(json.dumps(self._config()))
            self.fleet = Fleet(directory, config, DATABASE, self._size.workers, client)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def write(self, commands: Iterable[Command]) -> None:
        """Write from this process, with nobody measuring."""
        write(self.mongodb, commands)

    def mirror(self, documents: int) -> int:
        """Have so many orders mirrored, and some more by the stream; returns how many there are then.

        The fleet that does it has ended, with its checkpoint saved.
        """
        self.write(inserts(range(documents)))
        with self.fleet.running():
            self.wait_for(self.tables_loaded, 1)
            self.write(inserts(range(documents, documents + _STREAMED)))
            self.wait_for(self.changes_applied, _STREAMED)
        return documents + _STREAMED

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process; PostgreSQL's with all its backends."""
        servers = self._servers
        return {
            "mongod": sum(cpu_seconds(pid or 0) for pid in servers.mongodb.pids),
            "redis": cpu_seconds(servers.redis.pid or 0),
            "postgres": family_cpu_seconds(servers.postgresql.pid or 0),
            **self.fleet.cpu(),
        }

    def cluster_time(self) -> Timestamp:
        """A change stream opened there sees what is written from now on, and nothing else."""
        latest: Timestamp = self.mongodb.admin.command("ping")["operationTime"]
        return Timestamp(latest.time, latest.inc + 1)

    def changes_applied(self) -> int:
        """Changes of the stream that are committed in PostgreSQL."""
        return self._number("SELECT coalesce(sum(changes_applied), 0) FROM cartridge_warp.sync_markers")

    def rows_loaded(self) -> int:
        """Rows of first loads that are committed in PostgreSQL."""
        return self._number("SELECT coalesce(sum(rows_loaded), 0) FROM cartridge_warp.snapshot_chunks")

    def tables_loaded(self) -> int:
        """Tables whose first load is closed."""
        return self._number("SELECT count(*) FROM cartridge_warp.sync_tables WHERE snapshot = 'done'")

    def rows_written(self) -> int:
        """Rows inserted and updated in the mirrored table, as PostgreSQL counts them once a fleet has ended."""
        return self._number(
            "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE schemaname = %s AND relname = %s",
            [DATABASE, COLLECTION],
        )

    def wait_for(self, progress: Callable[[], int], goal: int) -> float:
        """Wait until `progress` has reached the goal; returns when, by the monotonic clock.

        Raises FleetFailed if there is no more progress, or a process has ended.
        """
        reached, moved = progress(), time.monotonic()
        while reached < goal:
            time.sleep(_POLL_SECONDS)
            before, reached = reached, progress()
            if reached > before:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALL_SECONDS:
                raise FleetFailed(f"no progress for {STALL_SECONDS:.0f} seconds, at {reached:,} of {goal:,}")
            self.fleet.check()
        return time.monotonic()

    def _number(self, query: str, values: Iterable[str] = ()) -> int:
        row = self.postgresql.execute(query.encode(), list(values)).fetchone()
        return int(row[0]) if row else 0

    def _config(self) -> dict[str, Any]:
        servers = self._servers
        return {
            "source": {"type": "mongodb", "connection_string": servers.mongodb.uri},
            "destination": {"type": "postgresql", "connection_string": servers.postgresql.dsn},
            "redis": {"connection_string": servers.redis.url},
            "partitions": self._size.partitions,
            "schemas": [{"name": DATABASE}],
        }
