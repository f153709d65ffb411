"""PostgreSQL as a destination: `warp.destinations.base.Destination` over one connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from warp.change import BEGINNING, Key, TableRef
from warp.destinations.base import OnDrop, Transaction
from warp.destinations.postgresql import ddl, read_back, removal
from warp.destinations.postgresql.client import APPLICATION, Client
from warp.destinations.postgresql.names import qualified
from warp.destinations.postgresql.stage import MORE_SECONDS, Stages
from warp.destinations.postgresql.transaction import PostgresTransaction
from warp.evolution.decide import Decision
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.evolution.shape import Shape
from warp.metadata import migrate, registry
from warp.metadata.store import MetadataStore
from warp.sources.base import StoredRow


def open_destination(connection_string: str) -> PostgresDestination:
    """Connect lazily: the first call finds out whether the server is there."""
    return PostgresDestination(connection_string)


class PostgresDestination:
    """See `warp.destinations.base.Destination` for the contract of each method."""

    def __init__(self, dsn: str) -> None:
        self._client = Client(dsn)
        self._stages = Stages()
        self._shapes: dict[TableRef, Shape] = {}
        self._generation = 0
        self.metadata = MetadataStore(self._client)

    def migrate(self) -> Sequence[str]:
        with self._client.connection() as connection:
            return [f"{number:03} {name}" for number, name, _ in migrate.migrate(connection)]

    def require_migrated(self) -> None:
        with self._client.connection() as connection:
            migrate.require_migrated(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._client.connection() as connection:
            if self._client.generation != self._generation:
                self._stages.forget()
                self._generation = self._client.generation
            try:
                with connection.transaction():
                    yield PostgresTransaction(connection, self._stages, self._shapes, self._client.where)
            except BaseException:
                self._stages.rolled_back()
                raise
            self._stages.committed()

    def evolve(
        self,
        ref: TableRef,
        seen: Seen,
        rules: Rules,
        *,
        cause: str,
        position: str = BEGINNING,
    ) -> Decision:
        with self._client.connection() as connection, connection.transaction():
            return ddl.evolve(
                connection,
                ref,
                seen,
                rules,
                cause=cause,
                position=position,
            )

    def drop(self, ref: TableRef, ts: int, on_drop: OnDrop, *, soft: bool, cause: str) -> bool:
        with self._client.connection() as connection, connection.transaction():
            return removal.drop(connection, ref, ts, on_drop, soft=soft, cause=cause)

    def sweep(self, ref: TableRef, limit: int, *, soft: bool) -> int:
        with self._client.connection() as connection, connection.transaction():
            return removal.sweep(connection, ref, limit, soft=soft)

    def end_stalled(self, seconds: float) -> int:
        with self._client.connection() as connection:
            return connection.execute(_END_STALLED, [APPLICATION, seconds, MORE_SECONDS]).rowcount

    def target(self, ref: TableRef) -> str:
        return qualified(ref)

    def tables(self, schema: str) -> dict[str, Shape]:
        with self._client.connection() as connection:
            return registry.shapes(connection, schema)

    def rows(self, ref: TableRef, keys: Sequence[Key]) -> dict[Key, StoredRow]:
        with self._standing(ref) as (connection, shape):
            return read_back.rows(connection, ref, shape, keys) if shape else {}

    def keys(self, ref: TableRef) -> Iterator[list[Key]]:
        with self._standing(ref) as (connection, shape):
            if shape:
                yield from read_back.keys(connection, ref, shape)

    def count(self, ref: TableRef) -> int:
        with self._standing(ref) as (connection, shape):
            return read_back.count(connection, ref, shape) if shape else 0

    def kept(self, ref: TableRef) -> int:
        with self._standing(ref) as (connection, shape):
            return read_back.kept(connection, ref, shape) if shape else 0

    @contextmanager
    def _standing(self, ref: TableRef) -> Iterator[tuple[psycopg.Connection, Shape | None]]:
        """A transaction, and the table's shape, which stands still to its end."""
        with self._client.connection() as connection, connection.transaction():
            yield connection, read_back.lock_shape(connection, ref)

    def close(self) -> None:
        self._client.close()


# No time-out of the server's ends a COPY that waits for its client; and nothing else waits for one while it is active.
_END_STALLED = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s "
    "AND datname = current_database() AND usename = current_user AND state = 'active' AND wait_event = 'ClientRead' "
    "AND query_start < clock_timestamp() - make_interval(secs => %s + coalesce(substring(query FROM %s)::int, 0))"
)
