"""What the in-memory destination holds: rows, shapes and progress, and the locks of the transactions that are open."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from warp.change import BEGINNING, Key, Partition, TableRef
from warp.destinations.base import PartitionState
from warp.evolution.shape import Shape
from warp.history import Event
from warp.metadata.base import (
    LEDGER_FIELDS,
    LEDGER_NAME_BYTES,
    Block,
    KeptValues,
    LetterState,
    LoggedError,
    SchemaState,
    SnapshotState,
    StoredLetter,
)
from warp.sources.base import Chunk, StoredRow


@dataclass(frozen=True, slots=True)
class Row:
    """A document as it was at `ts` or later."""

    ts: int
    fields: StoredRow
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A row of a history; `fields` are None where there is no document, as of `record_ts`."""

    event: Event
    fields: StoredRow | None = None
    record_ts: int | None = None


Place = tuple[int, str]
"""Time and position of such a row: those of one document are in this order."""


@dataclass(slots=True)
class Marker:
    """How far a partition is applied, and of how many partitions it is one."""

    partitions: int
    position: str = BEGINNING
    ts: int = 0
    changes: int = 0


@dataclass(slots=True)
class ChunkState:
    """A chunk of a snapshot; `lower` moves up with what is loaded."""

    lower: bytes | None
    upper: bytes | None
    rows: int = 0
    finished: bool = False

    @property
    def bounds(self) -> Chunk:
        """What is left to load."""
        return Chunk(lower=self.lower, upper=self.upper)


@dataclass(slots=True)
class Known:
    """A table that the metadata knows."""

    partitions: int
    snapshot: SnapshotState = SnapshotState.NONE
    documents_estimate: int = 0
    chunks: dict[int, ChunkState] = field(default_factory=dict)
    last_chunk: int = 0
    floor: int = 0
    settled: int = 0
    kept: int = 0
    """Rows before this are kept although the source dropped the table."""
    block: Block | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether nothing of a snapshot is left to load."""
        return self.snapshot is not SnapshotState.PLANNED and all(chunk.finished for chunk in self.chunks.values())


class Locks:
    """Who holds what, exclusively or shared. Nobody waits: what cannot be had is refused at once."""

    def __init__(self) -> None:
        self._held: dict[Hashable, dict[object, bool]] = {}

    def take(self, name: Hashable, owner: object, *, shared: bool = False) -> bool:
        """Whether the owner has the lock now."""
        holders = self._held.setdefault(name, {})
        others = [exclusive for holder, exclusive in holders.items() if holder is not owner]
        if any(others) or (others and not shared):
            return False
        holders[owner] = holders.get(owner, False) or not shared
        return True

    def free(self, name: Hashable) -> bool:
        """Whether nobody has the lock."""
        return not self._held.get(name)

    def release(self, owner: object) -> None:
        """Give back all that the owner has."""
        for holders in self._held.values():
            holders.pop(owner, None)


class MemoryDatabase:
    """Everything that is committed. Clones of a destination share one."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` in seconds since 1970."""
        self.clock = clock
        self.migrated = False
        self.rows: dict[TableRef, dict[Key, Row]] = {}
        self.histories: dict[TableRef, dict[Key, dict[Place, HistoryEntry]]] = {}
        self.shapes: dict[TableRef, Shape] = {}
        self.schemas: dict[str, SchemaState] = {}
        self.known: dict[TableRef, Known] = {}
        self.excluded: set[TableRef] = set()
        self.markers: dict[tuple[TableRef, int], Marker] = {}
        self.tombstones: dict[TableRef, dict[Key, int]] = {}
        self.kept: dict[tuple[TableRef, str | None, str], KeptValues] = {}
        """The ledger of values kept in `_extra`, by table, field and reason."""
        self.letters: dict[tuple[TableRef, str, Key], StoredLetter] = {}
        self.errors: dict[tuple[str, str | None, str, str], LoggedError] = {}
        """By schema, table, class and text; what was met last comes last."""
        self.audit: list[tuple[TableRef, str]] = []
        """What was done to whole tables."""
        self.poison: set[Key] = set()
        """Keys of documents that can never be stored."""
        self.locks = Locks()

    def partition_state(self, partition: Partition) -> PartitionState:
        """What a marker says, whether it has been made or not."""
        known = self.known.get(partition.ref) or Known(partition.of)
        marker = self.markers.get((partition.ref, partition.number)) or Marker(known.partitions)
        return PartitionState(
            position=marker.position,
            partitions=marker.partitions,
            snapshot_open=known.snapshot.open,
            ts=marker.ts,
            floor=known.floor,
            kept=known.kept,
            blocked=known.block is not None,
        )

    def unattended(self, ref: TableRef) -> bool:
        """Whether no transaction has a marker or a chunk of a table, or loads rows of it."""
        known = self.known.get(ref) or Known(1)
        names: list[Hashable] = [("tombstones", ref), ("table", ref)]
        names += [("marker", ref, number) for number in range(known.partitions)]
        names += [("chunk", ref, number) for number in known.chunks]
        return all(map(self.locks.free, names))

    def open_letters(self) -> list[StoredLetter]:
        """The dead letters that are open, oldest first."""
        return [stored for stored in self.letters.values() if stored.state is LetterState.OPEN]

    def letter(self, number: int) -> StoredLetter | None:
        """The dead letter of that number."""
        return next((stored for stored in self.letters.values() if stored.number == number), None)

    def change_letter(self, number: int, **changes: Any) -> None:
        """Keep a dead letter with other fields than it had."""
        for place, stored in self.letters.items():
            if stored.number == number:
                self.letters[place] = replace(stored, **changes)

    def log_error(
        self,
        schema: str,
        table: str | None,
        kind: str,
        error: str,
        remedy: str | None,
        correlation_id: str | None,
        times: int = 1,
    ) -> None:
        """Keep an error that was met so many times; `kind` is its class."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        known = self.errors.pop((schema, table, kind, error), None)
        self.errors[schema, table, kind, error] = LoggedError(
            schema=schema,
            table=table,
            error_class=kind,
            error=error,
            remedy=remedy,
            correlation_id=correlation_id or (known.correlation_id if known else None),
            first_at=known.first_at if known else now,
            last_at=now,
            occurrences=times + (known.occurrences if known else 0),
        )

    def count_kept(self, ref: TableRef, field: str, reason: str, values: int) -> None:
        """Add to the ledger of values kept in `_extra`."""
        told = {name for table, name, _ in self.kept if table == ref and name is not None}
        fits = len(field.encode("utf-8", "surrogateescape")) <= LEDGER_NAME_BYTES
        name = field if field in told or (fits and len(told) < LEDGER_FIELDS) else None
        now = datetime.fromtimestamp(self.clock(), UTC)
        known = self.kept.get((ref, name, reason))
        self.kept[ref, name, reason] = KeptValues(
            field=name,
            reason=reason,
            values=values + (known.values if known else 0),
            first_at=known.first_at if known else now,
            last_at=now,
        )

    def chunk(self, ref: TableRef, number: int) -> ChunkState | None:
        """A chunk that is to be loaded."""
        known = self.known.get(ref)
        if known is None or known.snapshot is not SnapshotState.LOADING:
            return None
        chunk = known.chunks.get(number)
        return None if chunk is None or chunk.finished else chunk
