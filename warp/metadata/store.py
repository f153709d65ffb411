"""The metadata store in PostgreSQL: `warp.metadata.base.Metadata`, each call a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row

from warp.change import Partition, TableRef
from warp.destinations.postgresql.names import identifier
from warp.metadata import audit, error_log, exclusions, floors, ledger, letters, progress
from warp.metadata.base import KeptValues, LetterFilter, LoggedError, SchemaState, StoredLetter, TableState
from warp.metadata.states import TABLES, schema_state, table_state
from warp.sources.base import Chunk, SourceTable, StreamPoint


class Connects(Protocol):
    """What the store needs of a client."""

    def connection(self) -> AbstractContextManager[psycopg.Connection]:
        """A connection in autocommit mode."""


class MetadataStore:
    """See `warp.metadata.base.Metadata` for the contract of each method."""

    def __init__(self, client: Connects) -> None:
        self._client = client

    def schema(self, name: str) -> SchemaState | None:
        rows = self._rows("SELECT * FROM cartridge_warp.sync_schemas WHERE schema_name = %s", [name])
        return schema_state(rows[0]) if rows else None

    def begin_schema(
        self, name: str, start: StreamPoint, tables: Sequence[SourceTable], partitions: Mapping[str, int]
    ) -> SchemaState:
        with self._client.connection() as connection, connection.transaction():
            begun = connection.execute(
                "INSERT INTO cartridge_warp.sync_schemas (schema_name, start_ts, checkpoint, checkpoint_ts, source_ts) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [name, start.ts, start.position, start.ts, start.ts],
            ).rowcount
            if begun:
                with connection.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO cartridge_warp.sync_tables "
                        "(schema_name, table_name, target_name, partitions, snapshot, documents_estimate) "
                        "VALUES (%s, %s, %s, %s, 'planned', %s)",
                        [
                            (name, table.name, identifier(table.name), partitions[table.name], table.documents)
                            for table in tables
                        ],
                    )
        state = self.schema(name)
        assert state is not None
        return state

    def save_checkpoint(self, name: str, checkpoint: StreamPoint, source_ts: int) -> None:
        self._execute(
            "UPDATE cartridge_warp.sync_schemas SET checkpoint = greatest(checkpoint, %s), "
            "checkpoint_ts = greatest(checkpoint_ts, %s), source_ts = greatest(source_ts, %s), "
            "checkpointed_at = now(), advanced_at = CASE WHEN checkpoint < %s THEN now() ELSE advanced_at END "
            "WHERE schema_name = %s",
            [checkpoint.position, checkpoint.ts, source_ts, checkpoint.position, name],
        )

    def markers(self, schema: str) -> dict[Partition, str]:
        rows = self._rows(
            "SELECT table_name, partition, partitions, position FROM cartridge_warp.sync_markers "
            "WHERE schema_name = %s",
            [schema],
        )
        return {
            Partition(schema, row["table_name"], row["partition"], row["partitions"]): row["position"] for row in rows
        }

    def partitions(self, schema: str) -> dict[str, int]:
        rows = self._rows(
            "SELECT table_name, partitions FROM cartridge_warp.sync_tables WHERE schema_name = %s", [schema]
        )
        return {row["table_name"]: row["partitions"] for row in rows}

    def add_tables(self, schema: str, partitions: Mapping[str, int]) -> None:
        with self._client.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(
                _ADD_TABLE,
                [(schema, table, identifier(table), number) for table, number in partitions.items()],
            )

    def repartition(self, ref: TableRef, before: int, after: int, position: str) -> bool:
        with self._client.connection() as connection, connection.transaction():
            return progress.repartition(connection, ref, before, after, position)

    def tables(self, schema: str) -> list[TableState]:
        return [table_state(row) for row in self._rows(TABLES, [schema])]

    def kept_values(self, schema: str) -> dict[str, list[KeptValues]]:
        with self._client.connection() as connection:
            return ledger.of_schema(connection, schema)

    def add_chunks(self, ref: TableRef, chunks: Iterable[Chunk]) -> int:
        place = [ref.schema, ref.table]
        with self._client.connection() as connection, connection.transaction():
            planned = connection.execute(
                "UPDATE cartridge_warp.sync_tables SET snapshot = 'loading', snapshot_started_at = now() "
                "WHERE schema_name = %s AND table_name = %s AND snapshot = 'planned'",
                place,
            ).rowcount
            if not planned:
                return 0
            return sum(connection.execute(_ADD_CHUNK, [*place, chunk.lower, chunk.upper]).rowcount for chunk in chunks)

    def replace_table(self, ref: TableRef, ts: int, partitions: int, cause: str) -> bool:
        with self._client.connection() as connection, connection.transaction():
            connection.execute(_ADD_TABLE, [*ref, identifier(ref.table), partitions])
            known = floors.lock(connection, ref)
            if known is None or known[0] >= ts:
                return False
            floors.raise_to(connection, ref, ts)
            connection.execute(
                "UPDATE cartridge_warp.sync_tables SET snapshot = 'planned', snapshot_started_at = NULL, "
                "snapshot_finished_at = NULL WHERE schema_name = %s AND table_name = %s",
                [*ref],
            )
            connection.execute(
                "DELETE FROM cartridge_warp.snapshot_chunks WHERE schema_name = %s AND table_name = %s", [*ref]
            )
            audit.record(connection, *ref, "source table replaced: to be read again", {"cause": cause, "ts": ts})
        return True

    def block(self, ref: TableRef, reason: str, remedy: str | None) -> None:
        self._execute(
            "UPDATE cartridge_warp.sync_tables SET blocked = %s, blocked_remedy = %s, blocked_at = now() "
            "WHERE schema_name = %s AND table_name = %s AND blocked IS NULL",
            [reason, remedy, *ref],
        )

    def blocked(self, schema: str) -> set[str]:
        rows = self._rows(
            "SELECT table_name FROM cartridge_warp.sync_tables WHERE schema_name = %s AND blocked IS NOT NULL", [schema]
        )
        return {row["table_name"] for row in rows}

    def unswept(self, schema: str) -> set[str]:
        rows = self._rows(
            "SELECT table_name FROM cartridge_warp.sync_tables "
            "WHERE schema_name = %s AND floor_ts > 0 AND snapshot IN ('planned', 'loading')",
            [schema],
        )
        return {row["table_name"] for row in rows}

    def settle(self, schema: str, tables: Mapping[str, int]) -> None:
        self._execute(
            "UPDATE cartridge_warp.sync_tables SET settled_ts = said.ts FROM unnest(%s::text[], %s::bigint[]) "
            "AS said (name, ts) WHERE schema_name = %s AND table_name = said.name AND settled_ts < said.ts",
            [list(tables), list(tables.values()), schema],
        )

    def missing_chunks(self, ref: TableRef, limit: int) -> list[int]:
        rows = self._rows(
            "SELECT chunk FROM cartridge_warp.snapshot_chunks "
            "WHERE schema_name = %s AND table_name = %s AND finished_at IS NULL ORDER BY chunk LIMIT %s",
            [ref.schema, ref.table, limit],
        )
        return [row["chunk"] for row in rows]

    def begins_at(self, ref: TableRef) -> int:
        rows = self._rows(
            "SELECT greatest(start_ts - 1, floor_ts) AS ts FROM cartridge_warp.sync_tables "
            "JOIN cartridge_warp.sync_schemas USING (schema_name) WHERE schema_name = %s AND table_name = %s",
            [*ref],
        )
        return int(rows[0]["ts"]) if rows else 0

    def close_snapshot(self, ref: TableRef) -> bool:
        place = [ref.schema, ref.table]
        with self._client.connection() as connection, connection.transaction():
            # First alone: the chunks are looked for as they are once nobody can plan others.
            connection.execute(
                "SELECT FROM cartridge_warp.sync_tables WHERE schema_name = %s AND table_name = %s FOR UPDATE", place
            )
            closed = connection.execute(
                "UPDATE cartridge_warp.sync_tables AS known SET snapshot = 'done', snapshot_finished_at = now() "
                "WHERE schema_name = %s AND table_name = %s AND snapshot = 'loading' AND NOT EXISTS ("
                "SELECT FROM cartridge_warp.snapshot_chunks AS chunk WHERE chunk.schema_name = known.schema_name "
                "AND chunk.table_name = known.table_name AND chunk.finished_at IS NULL)",
                place,
            ).rowcount
            if closed:
                connection.execute(
                    "DELETE FROM cartridge_warp.tombstones WHERE schema_name = %s AND table_name = %s", place
                )
        return bool(closed)

    def excluded(self, schema: str) -> set[str]:
        with self._client.connection() as connection:
            return exclusions.excluded(connection, schema)

    def exclude(self, ref: TableRef) -> bool:
        with self._client.connection() as connection, connection.transaction():
            return exclusions.exclude(connection, ref)

    def include(self, ref: TableRef) -> None:
        with self._client.connection() as connection, connection.transaction():
            exclusions.include(connection, ref)

    def letters(self, chosen: LetterFilter, limit: int | None) -> list[StoredLetter]:
        with self._client.connection() as connection:
            return letters.find(connection, chosen, limit)

    def letter(self, number: int) -> StoredLetter | None:
        with self._client.connection() as connection:
            return letters.one(connection, number)

    def open_letters(self, schema: str, limit: int) -> dict[int, TableRef]:
        with self._client.connection() as connection:
            return letters.newest_open(connection, schema, limit)

    def discard_letter(self, number: int) -> bool:
        with self._client.connection() as connection, connection.transaction():
            return letters.discard(connection, number)

    def log_error(
        self, schema: str, table: str | None, error: Exception, remedy: str | None, correlation_id: str | None
    ) -> None:
        with self._client.connection() as connection, connection.transaction():
            error_log.record(connection, schema, table, error, remedy, correlation_id)

    def errors(self, schema: str, limit: int) -> list[LoggedError]:
        with self._client.connection() as connection:
            return error_log.newest(connection, schema, limit)

    def _rows(self, query: str, values: Sequence[object]) -> list[dict[str, Any]]:
        with self._client.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), values).fetchall()

    def _execute(self, query: str, values: Sequence[object]) -> None:
        with self._client.connection() as connection:
            connection.execute(query.encode(), values)


_ADD_TABLE = (
    "INSERT INTO cartridge_warp.sync_tables (schema_name, table_name, target_name, partitions) "
    "VALUES (%s, %s, %s, %s) ON CONFLICT (schema_name, table_name) DO NOTHING"
)
_ADD_CHUNK = """
    WITH numbered AS (UPDATE cartridge_warp.sync_tables SET last_chunk = last_chunk + 1
                      WHERE schema_name = %s AND table_name = %s RETURNING schema_name, table_name, last_chunk)
    INSERT INTO cartridge_warp.snapshot_chunks (schema_name, table_name, chunk, lower_bound, upper_bound)
    SELECT schema_name, table_name, last_chunk, %s, %s FROM numbered
"""
