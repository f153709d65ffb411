"""The contract of the metadata store: what tailer, scheduler and `status` know about progress.

Everything here is a statement about what has been committed; nothing in it is guessed from Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from warp.change import Key, Operation, Partition, TableRef
from warp.sources.base import Chunk, SourceTable, StreamPoint


class SnapshotState(StrEnum):
    """Where the first load of a table stands. `NONE`: the stream brought the table, there was nothing to load."""

    NONE = "none"
    PLANNED = "planned"
    LOADING = "loading"
    DONE = "done"

    @property
    def open(self) -> bool:
        """Whether chunks may still be written, so that deletes must leave tombstones."""
        return self in (SnapshotState.PLANNED, SnapshotState.LOADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """A schema's checkpoint. Everything up to `checkpoint` is applied; the stream is reopened there."""

    name: str
    start_ts: int
    checkpoint: StreamPoint
    checkpointed_at: datetime
    """When the checkpoint was last saved, moved or not."""
    advanced_at: datetime
    """When the checkpoint last moved."""
    source_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Why nothing can be applied to a table until a person acts."""

    reason: str
    remedy: str | None
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """One table as the metadata has it."""

    ref: TableRef
    target_name: str
    partitions: int
    snapshot: SnapshotState
    documents_estimate: int
    chunks: int
    chunks_loaded: int
    rows_loaded: int
    changes_applied: int
    open_letters: int
    floor: int
    """The source dropped or replaced the table at this cluster time; 0: never."""
    settled: int
    """While the table is read again: all its changes from before this cluster time are applied."""
    blocked: Block | None


LEDGER_FIELDS = 500
"""Fields of a table that the ledger of values kept in `_extra` tells apart, give or take those that come at once."""
LEDGER_NAME_BYTES = 1000
"""Fields with longer names are not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptValues:
    """How many values of a field were kept in `_extra` for one reason, each time that their document was written."""

    field: str | None
    """None: fields beyond LEDGER_FIELDS, or with a name beyond LEDGER_NAME_BYTES, together."""
    reason: str
    values: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A change that can never be applied: parked in the same transaction that moves the position past it."""

    ref: TableRef
    key: Key
    operation: Operation
    position: str
    ts: int
    payload: bytes
    error_class: str
    error: str
    """Without document values."""
    traceback: str
    """Where it was raised, without messages, which may hold values: see `warp.traces`."""
    correlation_id: str
    remedy: str | None = None
    """What a person can do about it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedError:
    """An error as it is kept, without document values; the same one is kept once."""

    schema: str
    table: str | None
    error_class: str
    error: str
    remedy: str | None
    correlation_id: str | None
    """Of the last time."""
    first_at: datetime
    last_at: datetime
    occurrences: int


class LetterState(StrEnum):
    """What became of a dead letter. `SUPERSEDED`: a later state of its document made it void."""

    OPEN = "open"
    APPLIED = "applied"
    SUPERSEDED = "superseded"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLetter:
    """A dead letter as it is kept."""

    number: int
    letter: DeadLetter
    """With the error of the last attempt."""
    state: LetterState
    attempts: int
    """How often it was tried to apply the change, the first time included."""
    parked_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters are meant: those to which all that is given applies."""

    numbers: Sequence[int] | None = None
    schema: str | None = None
    table: str | None = None
    key: str | None = None
    """The text of the key."""
    error: str | None = None
    """The class of the error, or a part of its text."""
    older_than: timedelta | None = None
    newer_than: timedelta | None = None
    state: LetterState | None = None


class Metadata(Protocol):
    """Each call is a transaction of its own. Raises Transient, Fatal or ServerUnreachable as a `Destination` does."""

    def schema(self, name: str) -> SchemaState | None:
        """A schema's state; None before its stream was first opened."""

    def begin_schema(
        self, name: str, start: StreamPoint, tables: Sequence[SourceTable], partitions: Mapping[str, int]
    ) -> SchemaState:
        """Note where the stream of a new schema begins, and plan a snapshot of each table that exists already.

        The tables must have been listed after `start`. Where the schema has begun already, that beginning stands.
        """

    def save_checkpoint(self, name: str, checkpoint: StreamPoint, source_ts: int) -> None:
        """Move a schema's checkpoint; it never goes back, whoever asks."""

    def markers(self, schema: str) -> dict[Partition, str]:
        """The position of each partition; one that is missing stands at BEGINNING.

        A partition of another number of partitions than the table has is missing: its documents are others.
        """

    def partitions(self, schema: str) -> dict[str, int]:
        """The number of partitions of each table that is known."""

    def add_tables(self, schema: str, partitions: Mapping[str, int]) -> None:
        """Note tables that the stream brought, with the number of partitions they are routed by. Known ones stay."""

    def repartition(self, ref: TableRef, before: int, after: int, position: str) -> bool:
        """Give a table `after` partitions instead of `before`, all of which stand at `position` then.

        All its changes up to `position` must be applied. False, and nothing is done, where the table has not `before`
        partitions, or a marker is beyond `position`: somebody else was quicker, or has read further.
        """

    def tables(self, schema: str) -> list[TableState]:
        """The tables of a schema, in order of name."""

    def kept_values(self, schema: str) -> dict[str, list[KeptValues]]:
        """The ledger of values kept in `_extra`, by table; of each the most frequent first."""

    def replace_table(self, ref: TableRef, ts: int, partitions: int, cause: str) -> bool:
        """The source replaced all documents of a table at `ts`: plan a snapshot of it, in place of any other, and note
        that in the audit log. Changes before `ts` are void from here on. False: that was done before.
        """

    def block(self, ref: TableRef, reason: str, remedy: str | None) -> None:
        """Note that nothing can be applied to a table; `Transaction.unblock` takes it back. The first reason stays."""

    def blocked(self, schema: str) -> set[str]:
        """The tables of a schema to which nothing can be applied."""

    def unswept(self, schema: str) -> set[str]:
        """The tables of a schema that are being read again, and are to be swept then."""

    def settle(self, schema: str, tables: Mapping[str, int]) -> None:
        """All changes of these tables from before a cluster time are applied. It never goes back, whoever says it."""

    def add_chunks(self, ref: TableRef, chunks: Iterable[Chunk]) -> int:
        """Store the chunks of a planned snapshot and open it for loading; returns how many.

        Where another scheduler has done so already, its chunks stand.
        """

    def missing_chunks(self, ref: TableRef, limit: int) -> list[int]:
        """The first chunks of a snapshot that are not loaded. A chunk's number is never given to another one."""

    def begins_at(self, ref: TableRef) -> int:
        """The least cluster time as of which a snapshot may read documents: what came after it, the stream brings.

        Just before the schema's stream began; or when the table was replaced.
        """

    def close_snapshot(self, ref: TableRef) -> bool:
        """Close a snapshot whose chunks are all loaded, and drop its tombstones; False: it is not, or was closed."""

    def excluded(self, schema: str) -> set[str]:
        """The tables of a schema that are noted as excluded by the configuration, known or not."""

    def exclude(self, ref: TableRef) -> bool:
        """Note that a table is excluded, and in the audit log; its snapshot and its block are given up, its rows stay.

        False: it was noted before.
        """

    def include(self, ref: TableRef) -> None:
        """Note that a table is excluded no more. It must have been planned to be read before.

        If somebody dropped it at the destination meanwhile, its shape is forgotten, so that it is made anew.
        """

    def letters(self, chosen: LetterFilter, limit: int | None) -> list[StoredLetter]:
        """The newest dead letters, at most `limit` of them, newest first; their payloads are left out (empty)."""

    def letter(self, number: int) -> StoredLetter | None:
        """One dead letter, with its payload."""

    def open_letters(self, schema: str, limit: int) -> dict[int, TableRef]:
        """The numbers and tables of the newest open dead letters of a schema."""

    def discard_letter(self, number: int) -> bool:
        """Give an open dead letter up, and note that in the audit log; it is kept. False: it is not open."""

    def log_error(
        self, schema: str, table: str | None, error: Exception, remedy: str | None, correlation_id: str | None
    ) -> None:
        """Keep an error for a person to find; the same one is counted. The text must hold no document values."""

    def errors(self, schema: str, limit: int) -> list[LoggedError]:
        """The errors of a schema that were met last, dead letters' included, newest first."""
