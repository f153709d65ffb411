"""What one measurement stands on: fresh embedded servers, a configuration, a fleet, and a look at its progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
from pymongo import MongoClient

from benchmarks.fleet import Fleet, FleetFailed
from benchmarks.usage import cpu_seconds, family_cpu_seconds
from benchmarks.workload import inserts
from benchmarks.writer import write
from warp.destinations.registry import open_destination
from warp.embedded import EmbeddedServers

SCHEMA = "shop"
STALL_SECONDS = 60.0
"""No progress for this long ends a measurement."""
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and with how many."""

    documents: int
    changes: int
    backlog: int
    workers: int
    partitions: int


class Rig:
    """Servers that nobody has used before, and a fleet that is not running yet."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._servers = EmbeddedServers()

    def __enter__(self) -> Self:
        servers = self._servers.__enter__()
        try:
            self.uri = servers.mongodb.uri
            self.mongodb = MongoClient[dict[str, Any]](self.uri)
            self.postgresql = psycopg.connect(servers.postgresql.dsn, autocommit=True)
            self._redis = redis.Redis.from_url(servers.redis.url)
            directory = servers.directory / "fleet"
            directory.mkdir()
            config = directory / "cartridge-warp.json"
            config.write_text(json.dumps(self._config()))
            self.fleet = Fleet(directory, config, SCHEMA, self._size.workers, self._redis)
            destination = open_destination("postgresql", servers.postgresql.dsn)
            destination.migrate()
            destination.close()
        except BaseException:
            servers.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fleet.stop()
        self.mongodb.close()
        self.postgresql.close()
        self._redis.close()
        self._servers.stop()

    def insert(self, numbers: range) -> None:
        """Insert orders, with nobody measuring."""
        write(self.mongodb, SCHEMA, inserts(numbers))

    def mirror(self, documents: int) -> None:
        """Have so many orders mirrored by a fleet that ends when it has caught up."""
        self.insert(range(documents))
        with self.fleet.running():
            self.wait_for(self.tables_loaded, 1)

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process; PostgreSQL's with all its backends."""
        servers = self._servers
        return {
            "mongod": sum(cpu_seconds(pid or 0) for pid in servers.mongodb.pids),
            "redis": cpu_seconds(servers.redis.pid or 0),
            "postgres": family_cpu_seconds(servers.postgresql.pid or 0),
            **self.fleet.cpu(),
        }

    def changes_applied(self) -> int:
        """Changes of the stream that are committed in PostgreSQL."""
        return self._number("SELECT coalesce(sum(changes_applied), 0) FROM cartridge_warp.sync_markers")

    def rows_loaded(self) -> int:
        """Rows of first loads that are committed in PostgreSQL."""
        return self._number("SELECT coalesce(sum(rows_loaded), 0) FROM cartridge_warp.snapshot_chunks")

    def tables_loaded(self) -> int:
        """Tables whose first load is closed."""
        return self._number("SELECT count(*) FROM cartridge_warp.sync_tables WHERE snapshot = 'done'")

    def wait_for(self, progress: Callable[[], int], goal: int) -> float:
        """Wait until `progress` has reached the goal; returns when, by the monotonic clock. Raises FleetFailed."""
        reached, moved = progress(), time.monotonic()
        while reached < goal:
            time.sleep(_POLL_SECONDS)
            now, before = time.monotonic(), reached
            reached = progress()
            if reached > before:
                moved = now
            elif now - moved > STALL_SECONDS:
                raise FleetFailed(f"no progress for {STALL_SECONDS:.0f} seconds, at {reached:,} of {goal:,}")
            self.fleet.check()
        return time.monotonic()

    def _number(self, query: str) -> int:
        row = self.postgresql.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def _config(self) -> dict[str, Any]:
        servers = self._servers
        return {
            "source": {"type": "mongodb", "connection_string": servers.mongodb.uri},
            "destination": {"type": "postgresql", "connection_string": servers.postgresql.dsn},
            "redis": {"connection_string": servers.redis.url},
            "partitions": self._size.partitions,
            "schemas": [{"name": SCHEMA}],
        }
