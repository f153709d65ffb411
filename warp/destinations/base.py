"""The contract of a destination: rows and progress, committed together.

An implementation passes `tests/contract/test_destination.py`. The one rule on which everything else rests: **a row
never goes back in time**. Every write carries the cluster time `ts` of the state it writes, the row keeps it, and a
write that is older than its row changes nothing. Writing anything again therefore changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from warp.change import BEGINNING, Delete, Key, Partition, TableRef, Write
from warp.errors import WarpError
from warp.evolution.decide import Decision
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.evolution.shape import Shape
from warp.history import HistoryRow
from warp.metadata.base import DeadLetter, LetterState, Metadata, StoredLetter
from warp.sources.base import Chunk, StoredRow
from warp.values import Kind


@dataclass(slots=True)
class Written:
    """What one `write` did. `stale` were older than their row, deleted meanwhile, or there already: left alone."""

    upserted: int = 0
    deleted: int = 0
    appended: int = 0
    """Rows of a history."""
    stale: int = 0
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Values kept in `_extra`, by field and reason."""
    misfits: dict[str, set[Kind]] = field(default_factory=dict)
    """The kinds of values that the column of their field did not take, where it is of another kind."""
    superseded: int = 0
    """Open dead letters of these documents that this made void."""
    lost: int = 0
    """Documents of kept rows whose last update could not be looked up any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """A partition's marker, locked by the transaction that read it."""

    position: str
    partitions: int
    """The number of partitions the table has now; an entry routed by another number must be dropped."""
    snapshot_open: bool
    ts: int = 0
    """All of the partition's changes up to this cluster time, or none later, are applied: that of the last one."""
    floor: int = 0
    """Changes before this cluster time are void: the source dropped or replaced the table then."""
    kept: int = 0
    """The source dropped the table then, and the rows from before were kept."""
    blocked: bool = False
    """The metadata says that nothing can be applied to the table."""


class OnDrop(StrEnum):
    """What becomes of the rows when the source drops their table."""

    KEEP = "keep"
    """They stay as they are."""
    TRUNCATE = "truncate"
    """They go, as documents that are deleted do; the table stays."""
    DROP = "drop"
    """They go, and the table with them, unless it has newer rows."""


class Transaction(Protocol):
    """All of it commits, or none. One transaction touches one table.

    Whatever writes or deletes a document as of a time supersedes its open dead letters up to that time, also where the
    row was newer already, or where there was none to delete: no replay may bring back what was deleted since.
    """

    def lock_partition(self, partition: Partition) -> PartitionState | None:
        """Lock a partition's marker until the end of the transaction, making it if need be.

        None: another transaction has it. Whoever holds the lock is the only one that moves the marker.
        """

    def expect_decoding(self, size: int) -> None:
        """Outlast that the caller decodes so many bytes now, with no other call meanwhile. Called for each of several
        payloads; once one is large, the locks of a caller that stands still are held for longer, too."""

    def lock_chunk(self, ref: TableRef, chunk: int) -> Chunk | None:
        """Lock a chunk of an open snapshot; None: it is loaded, or its snapshot closed, or another one has it."""

    def shape(self, ref: TableRef) -> Shape | None:
        """The table's shape; its columns cannot change before the end of the transaction. None: no table yet."""

    def upsert(self, ref: TableRef, shape: Shape, writes: Sequence[Write]) -> Written:
        """Write whole documents of distinct keys, each unless its row is newer than the write.

        Raises Poison where a document can never be stored; nothing of this call is written then, and the transaction
        goes on.
        """

    def load(self, ref: TableRef, shape: Shape, writes: Sequence[Write]) -> Written:
        """`upsert` for rows of a snapshot: they also lose against a row, or a tombstone, of their own time, and where
        the table was dropped or replaced after it. To a table that keeps its history they are appended (`append`)."""

    def append(self, ref: TableRef, shape: Shape, rows: Sequence[HistoryRow]) -> Written:
        """Add rows to a table that keeps its history, each unless it is there: none is ever altered or deleted.

        LOAD, which `load` writes, leaves a document alone that has a change of its time or any later row. Where a
        document has ended, with its table or unseen, but not by these rows, the row that says so is added, too: they
        may come late. Raises Poison as `upsert` does. Supersedes the open dead letters of loads alone: every change
        counts here.
        """

    def delete(
        self, ref: TableRef, shape: Shape, deletes: Sequence[Delete], *, soft: bool, tombstones: bool
    ) -> Written:
        """Delete documents of distinct keys, each unless its row is newer.

        `soft`: mark the rows instead. `tombstones`: leave a note that `load` honours, row or no row. Raises Poison
        as `upsert` does, where something keeps a row from being deleted.
        """

    def advance(self, partition: Partition, position: str, ts: int, changes: int) -> None:
        """Move the marker of a locked partition, and count the changes applied with it."""

    def count_kept(self, ref: TableRef, kept: Mapping[tuple[str, str], int]) -> None:
        """Add `Written.kept` to the ledger (`Metadata.kept_values`), on behalf of the locked partition or chunk."""

    def shrink_chunk(self, ref: TableRef, chunk: int, lower: bytes, rows: int, *, first: bytes) -> None:
        """Note that a locked chunk is loaded up to `lower`, with `rows` more rows that begin at `first`.

        Where they begin with the one that the rows before ended with, it counts once.
        """

    def finish_chunk(self, ref: TableRef, chunk: int) -> None:
        """Mark a locked chunk as loaded."""

    def park(self, letters: Sequence[DeadLetter], *, each: bool = False) -> None:
        """Keep changes that can never be applied. The same change is kept once.

        Of several changes of a document at one time the last is left open; `each`: all of them are.

        So is a document that a load could not write: it is open again, as of the later time, when another load cannot.
        """

    def lock_letter(self, number: int) -> StoredLetter | None:
        """Lock an open dead letter until the end of the transaction; None: it is not open, or was never there."""

    def settle_letter(self, number: int, state: LetterState) -> None:
        """Note what came of the replay of a locked dead letter, also in the audit log."""

    def fail_letter(self, number: int, error: WarpError, traceback: str) -> None:
        """Note that the replay of a locked dead letter failed again: it stays open, with the error of this attempt."""

    def log_error(self, ref: TableRef, error: WarpError, times: int, correlation_id: str) -> None:
        """`Metadata.log_error`, as part of this transaction, for an error that was met so many times."""

    def unblock(self, ref: TableRef) -> None:
        """Note that the table takes changes again."""


class Destination(Protocol):
    """A database that rows and progress are written to. One object is used by one thread at a time."""

    @property
    def metadata(self) -> Metadata:
        """Progress as tailer, scheduler and `status` see it, each call a transaction of its own."""

    def migrate(self) -> Sequence[str]:
        """Make or update the metadata tables; returns the names of what was applied."""

    def require_migrated(self) -> None:
        """Raises Fatal, with the remedy, where `migrate` has not been run."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commit at the end of the block, roll back when it is left by an exception.

        Raises Transient where the same transaction later can succeed, Fatal where a person must act, ServerUnreachable.
        """

    def evolve(
        self,
        ref: TableRef,
        seen: Seen,
        rules: Rules,
        *,
        cause: str,
        position: str = BEGINNING,
    ) -> Decision:
        """Give a table the shape that it needs to take what was seen, in a transaction of its own.

        Workers that do this at once take turns, and agree. `cause`, and the `position` in the stream up to which it was
        seen (BEGINNING: by a first load), are kept with the new version.
        """

    def drop(self, ref: TableRef, ts: int, on_drop: OnDrop, *, soft: bool, cause: str) -> bool:
        """The source dropped a table at `ts`: do with its rows from before then as `on_drop` says, in a transaction of
        its own, and note that in the audit log. False: that was done before. `soft`: rows are marked, not deleted.

        A snapshot that is open ends with the rows: what comes after `ts` comes by the stream. A block ends in any case.
        In a table that keeps its history all rows stay, and each document that there was gets a row that ends it.
        """

    def sweep(self, ref: TableRef, limit: int, *, soft: bool) -> int:
        """Delete up to `limit` rows that a snapshot has not met: their documents were deleted unseen. In a table that
        keeps its history, end so many documents, as of the floor.

        Those are the rows from before the table's floor, but for the ones that are kept. Returns how many there were:
        none as long as the snapshot is not loaded whole, nor once it is closed.
        """

    def end_stalled(self, seconds: float) -> int:
        """End transactions whose process has stood still for so long while it sent rows; returns how many there were.

        They hold their partition or chunk, and nothing is lost with them.
        """

    def target(self, ref: TableRef) -> str:
        """The name of the table that mirrors a source's table, as the destination writes it."""

    def tables(self, schema: str) -> dict[str, Shape]:
        """The tables of a schema that exist, by the name of their source's table."""

    def rows(self, ref: TableRef, keys: Sequence[Key]) -> dict[Key, StoredRow]:
        """The rows of those keys, without the ones softly deleted, or kept when the source dropped their table.

        Of a table that keeps its history: the last row of each key that is not ended. Read by the shape that the table
        has at that moment, as are `keys`, `count` and `kept`; one that is not there has no rows.
        """

    def keys(self, ref: TableRef) -> Iterator[list[Key]]:
        """The keys of all rows that `rows` gives, in lists of bounded size."""

    def count(self, ref: TableRef) -> int:
        """How many rows there are that `rows` gives."""

    def kept(self, ref: TableRef) -> int:
        """How many rows there are that `rows` leaves out because they were kept when the source dropped their table."""

    def close(self) -> None:
        """Give back every connection. May be called twice."""


def merged(results: Sequence[Written]) -> Written:
    """The sum of several results."""
    total = Written()
    for result in results:
        total.upserted += result.upserted
        total.deleted += result.deleted
        total.appended += result.appended
        total.stale += result.stale
        total.kept.update(result.kept)
        for name, kinds in result.misfits.items():
            total.misfits.setdefault(name, set()).update(kinds)
        total.superseded += result.superseded
        total.lost += result.lost
    return total
