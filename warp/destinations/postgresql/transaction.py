"""The one write path: guarded upserts and deletes, and the progress that commits with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

import psycopg
from psycopg import sql

from warp.change import Delete, Partition, TableRef, Write, cluster_seconds
from warp.destinations.base import PartitionState, Written
from warp.destinations.kept import refusal
from warp.destinations.postgresql import client, history
from warp.destinations.postgresql.errors import translated
from warp.destinations.postgresql.names import fits_key_column, key_cell, key_type, parametric, target
from warp.destinations.postgresql.rows import KEY, TS, columns, lines, require_keys
from warp.destinations.postgresql.stage import Stages, fill
from warp.errors import Transient, WarpError
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.history import HistoryRow, loaded
from warp.metadata import error_log, ledger, progress, registry
from warp.metadata import letters as dead_letters
from warp.metadata.base import DeadLetter, LetterState, StoredLetter
from warp.sources.base import Chunk


class PostgresTransaction:
    """See `warp.destinations.base.Transaction` for the contract of each method."""

    def __init__(
        self, connection: psycopg.Connection, stages: Stages, shapes: dict[TableRef, Shape], where: str
    ) -> None:
        """`shapes` are those that were seen last; a version that is out of date is read again."""
        self._connection = connection
        self._stages = stages
        self._shapes = shapes
        self._where = where
        self._used: list[sql.Identifier] = []
        self._letters: bool | None = None
        self._share: int | None = None
        self._patience_ms = client.IDLE_TIMEOUT_MS
        self._spoke = monotonic()

    def lock_partition(self, partition: Partition) -> PartitionState | None:
        self._share = partition.number
        return progress.lock_partition(self._connection, partition)

    def expect_decoding(self, size: int) -> None:
        if size > client.LARGE:
            patience = client.IDLE_TIMEOUT_MS + client.IDLE_MS_PER_MB * size // 10**6
            self._patience_ms = max(self._patience_ms, patience)
        elif monotonic() - self._spoke < client.HEARTBEAT_SECONDS:
            return
        limit = sql.SQL("SET LOCAL idle_in_transaction_session_timeout = {}")
        self._connection.execute(limit.format(sql.Literal(self._patience_ms)))
        self._spoke = monotonic()

    def lock_chunk(self, ref: TableRef, chunk: int) -> Chunk | None:
        self._share = ledger.share_of_chunk(chunk)
        return progress.lock_chunk(self._connection, ref, chunk)

    def shape(self, ref: TableRef) -> Shape | None:
        shape = self._shapes.get(ref) or registry.current(self._connection, ref)
        if shape is None:
            return None
        # ALTER TABLE needs a stronger lock: from here on the shape stands still. It may have changed just before.
        lock = sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(sql.Identifier(*target(ref)))
        try:
            self._connection.execute(lock)
        except psycopg.errors.UndefinedTable:
            if self._shapes.pop(ref, None) is None:
                raise
            raise Transient(f"the table {ref} is there no more") from None
        if registry.version(self._connection, ref) != shape.version:
            shape = registry.current(self._connection, ref)
        if shape is None:  # dropped, and somebody else made another one of that name
            self._shapes.pop(ref, None)
            return None
        self._shapes[ref] = shape
        return shape

    def upsert(self, ref: TableRef, shape: Shape, writes: Sequence[Write]) -> Written:
        return self._write(ref, shape, writes, _STREAM)

    def append(self, ref: TableRef, shape: Shape, rows: Sequence[HistoryRow]) -> Written:
        if not rows:
            return Written()
        require_keys(shape, rows)
        written = Written()
        stage = self._empty_stage(ref, shape)
        with translated(self._where), self._connection.transaction():
            self._fill(stage, history.history_lines(shape, rows, written))
            written.appended = history.append(self._connection, ref, shape, stage)
            history.end_late(self._connection, ref, shape, rows)
        written.stale = len(rows) - written.appended
        written.superseded = self._supersede(ref, rows, loads_only=True)
        return written

    def load(self, ref: TableRef, shape: Shape, writes: Sequence[Write]) -> Written:
        # Against deletes with tombstones, which take it exclusively: neither may miss the other's uncommitted row.
        self._connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [str(ref)])
        if shape.layout is Layout.HISTORY:
            return self.append(ref, shape, list(map(loaded, writes)))
        return self._write(ref, shape, writes, _SNAPSHOT)

    def _write(self, ref: TableRef, shape: Shape, writes: Sequence[Write], statement: sql.SQL) -> Written:
        if not writes:
            return Written()
        require_keys(shape, writes)
        written = Written()
        stage = self._empty_stage(ref, shape)
        with translated(self._where), self._connection.transaction():
            self._fill(stage, lines(shape, sorted(writes, key=_key_text), written))
            if poison := refusal(shape, written):
                raise poison
            written.upserted = self._connection.execute(_upsert(statement, ref, shape, stage)).rowcount
        written.stale = len(writes) - written.upserted
        written.superseded = self._supersede(ref, writes)
        return written

    def _fill(self, stage: sql.Identifier, rows: Iterable[str]) -> None:
        # What took long to decode may take long to write.
        fill(self._connection, stage, rows, (self._patience_ms - client.IDLE_TIMEOUT_MS) // 1000)

    def _empty_stage(self, ref: TableRef, shape: Shape) -> sql.Identifier:
        stage = self._stages.stage(self._connection, ref, shape)
        if stage in self._used:
            self._connection.execute(sql.SQL("TRUNCATE {}").format(stage))
        self._used.append(stage)
        return stage

    def _supersede(
        self, ref: TableRef, states: Sequence[Write | Delete | HistoryRow], *, loads_only: bool = False
    ) -> int:
        # Asked once: letters that are parked meanwhile are those of chunks, whose documents are looked up again.
        if self._letters is None:
            self._letters = dead_letters.any_open(self._connection, ref)
        if not self._letters:
            return 0
        written = ((state.key, state.ts) for state in states)
        return dead_letters.supersede(self._connection, ref, written, loads_only=loads_only)

    def delete(
        self, ref: TableRef, shape: Shape, deletes: Sequence[Delete], *, soft: bool, tombstones: bool
    ) -> Written:
        if not deletes:
            return Written()
        if tombstones:
            self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(ref)])
        statement = (_SOFT_DELETE if soft else _DELETE).format(
            table=parametric(*target(ref)), key=sql.Identifier(KEY), ts=sql.Identifier(TS), type=key_type(shape)
        )
        # Where the column holds no such key, there is no row; a load may come when it does.
        held = [delete for delete in deletes if fits_key_column(shape, delete.key)]
        values = _cells(shape, held)
        if soft:
            values.append([cluster_seconds(delete.ts) for delete in held])
        with translated(self._where), self._connection.transaction():
            if tombstones:
                progress.bury(self._connection, ref, *_cells(shape, deletes))
            done = self._connection.execute(statement, values).rowcount
        return Written(deleted=done, stale=len(deletes) - done, superseded=self._supersede(ref, deletes))

    def advance(self, partition: Partition, position: str, ts: int, changes: int) -> None:
        progress.advance(self._connection, partition, position, ts, changes)

    def count_kept(self, ref: TableRef, kept: Mapping[tuple[str, str], int]) -> None:
        assert self._share is not None, "nothing is locked"
        ledger.count(self._connection, ref, self._share, kept)

    def shrink_chunk(self, ref: TableRef, chunk: int, lower: bytes, rows: int, *, first: bytes) -> None:
        progress.shrink_chunk(self._connection, ref, chunk, lower, rows, first=first)

    def finish_chunk(self, ref: TableRef, chunk: int) -> None:
        progress.finish_chunk(self._connection, ref, chunk)

    def park(self, letters: Sequence[DeadLetter], *, each: bool = False) -> None:
        dead_letters.park(self._connection, letters, each=each)
        error_log.record_parked(self._connection, letters)

    def lock_letter(self, number: int) -> StoredLetter | None:
        return dead_letters.lock(self._connection, number)

    def settle_letter(self, number: int, state: LetterState) -> None:
        dead_letters.settle(self._connection, number, state)

    def fail_letter(self, number: int, error: WarpError, traceback: str) -> None:
        dead_letters.fail(self._connection, number, error, traceback)

    def log_error(self, ref: TableRef, error: WarpError, times: int, correlation_id: str) -> None:
        error_log.keep(self._connection, *ref, error, error.remedy, correlation_id, times)

    def unblock(self, ref: TableRef) -> None:
        progress.unblock(self._connection, ref)


def _cells(shape: Shape, deletes: Sequence[Delete]) -> list[Sequence[Any]]:
    return [[key_cell(shape, delete.key) for delete in deletes], [delete.ts for delete in deletes]]


def _key_text(write: Write) -> str:
    """Rows are locked in the same order by everyone, so that two writers of one table do not deadlock."""
    return write.key.text


_INSERT = "INSERT INTO {table} AS held ({columns}) SELECT {columns} FROM {stage} AS new"
_ON_CONFLICT = "ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE held.{ts}"
_STREAM = sql.SQL(f"{_INSERT} {_ON_CONFLICT} <= excluded.{{ts}}")
"""A change wins against a row of its own time: changes of one transaction share a cluster time, and come in order."""
_SNAPSHOT = sql.SQL(
    f"{_INSERT} WHERE NOT EXISTS (SELECT FROM cartridge_warp.tombstones AS gone "
    "WHERE gone.schema_name = {schema_name} AND gone.table_name = {table_name} "
    "AND md5(gone.key) = md5(new.{key}::text) AND gone.key = new.{key}::text AND gone.ts >= new.{ts}) "
    "AND new.{ts} >= coalesce((SELECT floor_ts FROM cartridge_warp.sync_tables "
    "WHERE schema_name = {schema_name} AND table_name = {table_name}), 0) "
    f"{_ON_CONFLICT} < excluded.{{ts}}"
)
"""A row that was read at a time may be older than a change of that very time: it loses."""

_DELETE = sql.SQL(
    "DELETE FROM {table} AS held USING unnest(%s::text[], %s::bigint[]) AS gone (key, ts) "
    "WHERE held.{key} = gone.key::{type} AND held.{ts} <= gone.ts"
)
_SOFT_DELETE = sql.SQL(
    "UPDATE {table} AS held SET is_deleted = true, deleted_at = to_timestamp(gone.seconds), {ts} = gone.ts "
    "FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS gone (key, ts, seconds) "
    "WHERE held.{key} = gone.key::{type} AND held.{ts} <= gone.ts AND NOT held.is_deleted"
)


def _upsert(statement: sql.SQL, ref: TableRef, shape: Shape, stage: sql.Identifier) -> sql.Composed:
    names = columns(shape)
    assignments: list[sql.Composable] = [
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names[1:]
    ]
    if shape.soft_delete:
        assignments.append(sql.SQL("is_deleted = false, deleted_at = NULL"))
    return statement.format(
        table=sql.Identifier(*target(ref)),
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        stage=stage,
        key=sql.Identifier(KEY),
        ts=sql.Identifier(TS),
        assignments=sql.SQL(", ").join(assignments),
        schema_name=sql.Literal(ref.schema),
        table_name=sql.Literal(ref.table),
    )
