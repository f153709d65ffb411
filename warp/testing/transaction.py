"""A transaction of the in-memory destination: nobody sees what it does before it commits, all at once.

A lock that another transaction has is refused at once with Transient, as PostgreSQL refuses it after a while.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from warp.change import BEGINNING, Delete, Key, Partition, TableRef, Write
from warp.destinations.base import PartitionState, Written
from warp.destinations.kept import refusal
from warp.errors import Poison, Transient, WarpError
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.history import HistoryRow, loaded
from warp.metadata.base import DeadLetter, LetterState, StoredLetter
from warp.sources.base import Chunk
from warp.testing.database import Known, Marker, MemoryDatabase, Row
from warp.testing.fields import row_of
from warp.testing.history import History
from warp.testing.hook import Hook


class MemoryTransaction:
    """See `warp.destinations.base.Transaction` for the contract of each method."""

    def __init__(self, database: MemoryDatabase, hook: Hook) -> None:
        self._database = database
        self._hook = hook
        self._rows: dict[tuple[TableRef, Key], Row | None] = {}
        self._history = History(database)
        self._at_commit: list[Callable[[], None]] = []

    def commit(self) -> None:
        """Make all of it visible."""
        for (ref, key), row in self._rows.items():
            if row is None:
                self._database.rows.get(ref, {}).pop(key, None)
            else:
                self._database.rows.setdefault(ref, {})[key] = row
        self._history.commit()
        for act in self._at_commit:
            act()

    def lock_partition(self, partition: Partition) -> PartitionState | None:
        self._hook("transaction.lock_partition")
        if not self._take(("marker", partition.ref, partition.number)):
            return None
        if (partition.ref, partition.number) not in self._database.markers:
            # Nobody may change the number of partitions meanwhile, unaware of this marker.
            self._require(("table", partition.ref), shared=True)
            self._at_commit.append(partial(self._make_marker, partition))
        return self._database.partition_state(partition)

    def _make_marker(self, partition: Partition) -> None:
        known = self._database.known.setdefault(partition.ref, Known(partition.of))
        self._database.markers.setdefault((partition.ref, partition.number), Marker(known.partitions))

    def expect_decoding(self, size: int) -> None:
        """No lock is lost by waiting."""

    def lock_chunk(self, ref: TableRef, chunk: int) -> Chunk | None:
        self._hook("transaction.lock_chunk")
        if not self._take(("chunk", ref, chunk)):
            return None
        found = self._database.chunk(ref, chunk)
        return found.bounds if found else None

    def shape(self, ref: TableRef) -> Shape | None:
        self._hook("transaction.shape")
        if ref in self._database.shapes:
            self._require(("shape", ref), shared=True)
        return self._database.shapes.get(ref)

    def upsert(self, ref: TableRef, shape: Shape, writes: Sequence[Write]) -> Written:
        self._hook("transaction.upsert")
        return self._write(ref, shape, writes, self._is_newer)

    def append(self, ref: TableRef, shape: Shape, rows: Sequence[HistoryRow]) -> Written:
        self._hook("transaction.append")
        # As a load: neither may miss that the table was dropped or swept.
        self._require(("tombstones", ref), shared=True)
        written = self._history.append(ref, shape, rows)
        written.superseded = self._supersede(ref, rows, loads_only=True)
        return written

    def load(self, ref: TableRef, shape: Shape, writes: Sequence[Write]) -> Written:
        self._hook("transaction.load")
        if shape.layout is Layout.HISTORY:
            return self.append(ref, shape, list(map(loaded, writes)))
        # Neither a load nor a delete may miss what the other one has not committed yet.
        self._require(("tombstones", ref), shared=True)
        return self._write(ref, shape, writes, lambda row, write: self._may_load(ref, row, write))

    @staticmethod
    def _is_newer(row: Row | None, write: Write) -> bool:
        """A change wins against a row of its own time: changes of one transaction share a time, and come in order."""
        return row is None or row.ts <= write.ts

    def _may_load(self, ref: TableRef, row: Row | None, write: Write) -> bool:
        """What was read at a time may be older than a change of that very time: it loses."""
        known = self._database.known.get(ref)
        is_void = known is not None and write.ts < known.floor
        return (row is None or row.ts < write.ts) and not is_void and not self._is_buried(ref, write)

    def _is_buried(self, ref: TableRef, write: Write) -> bool:
        return self._database.tombstones.get(ref, {}).get(write.key, -1) >= write.ts

    def _write(
        self, ref: TableRef, shape: Shape, writes: Sequence[Write], wins: Callable[[Row | None, Write], bool]
    ) -> Written:
        if any(write.key in self._database.poison for write in writes):
            raise Poison("this document can never be stored")
        written = Written()
        rows = [row_of(shape, write.record, written) for write in writes]
        if poison := refusal(shape, written):
            raise poison
        for write, fields in zip(writes, rows, strict=True):
            self._require(("row", ref, write.key))
            if wins(self._row(ref, write.key), write):
                self._rows[ref, write.key] = Row(write.ts, fields)
                written.upserted += 1
            else:
                written.stale += 1
        written.superseded = self._supersede(ref, writes)
        return written

    def delete(
        self, ref: TableRef, shape: Shape, deletes: Sequence[Delete], *, soft: bool, tombstones: bool
    ) -> Written:
        self._hook("transaction.delete")
        written = Written()
        for delete in deletes:
            if tombstones:
                self._require(("tombstones", ref))
                self._at_commit.append(partial(self._bury, ref, delete))
            self._require(("row", ref, delete.key))
            row = self._row(ref, delete.key)
            if row is None or row.is_deleted or not self._may_delete(row, delete):
                written.stale += 1
                continue
            self._rows[ref, delete.key] = Row(delete.ts, row.fields, is_deleted=True) if soft else None
            written.deleted += 1
        written.superseded = self._supersede(ref, deletes)
        return written

    @staticmethod
    def _may_delete(row: Row, delete: Delete) -> bool:
        return row.ts <= delete.ts

    def _bury(self, ref: TableRef, delete: Delete) -> None:
        known = self._database.known.get(ref)
        if known is not None and known.snapshot.open:
            buried = self._database.tombstones.setdefault(ref, {})
            buried[delete.key] = max(delete.ts, buried.get(delete.key, -1))

    def advance(self, partition: Partition, position: str, ts: int, changes: int) -> None:
        self._hook("transaction.advance")
        self._at_commit.append(partial(self._advance, partition, position, ts, changes))

    def _advance(self, partition: Partition, position: str, ts: int, changes: int) -> None:
        marker = self._database.markers[partition.ref, partition.number]
        if marker.position <= position:
            marker.position, marker.ts = position, ts
            marker.changes += changes

    def count_kept(self, ref: TableRef, kept: Mapping[tuple[str, str], int]) -> None:
        if kept:
            self._hook("transaction.count_kept")
        for (field, reason), values in kept.items():
            self._at_commit.append(partial(self._database.count_kept, ref, field, reason, values))

    def shrink_chunk(self, ref: TableRef, chunk: int, lower: bytes, rows: int, *, first: bytes) -> None:
        self._hook("transaction.shrink_chunk")
        self._at_commit.append(partial(self._shrink, ref, chunk, lower, rows, first))

    def _shrink(self, ref: TableRef, number: int, lower: bytes, rows: int, first: bytes) -> None:
        chunk = self._database.known[ref].chunks[number]
        chunk.rows += rows - (chunk.rows > 0 and chunk.lower == first)
        chunk.lower = lower

    def finish_chunk(self, ref: TableRef, chunk: int) -> None:
        self._hook("transaction.finish_chunk")
        self._at_commit.append(partial(self._finish, ref, chunk))

    def _finish(self, ref: TableRef, number: int) -> None:
        self._database.known[ref].chunks[number].finished = True

    def park(self, letters: Sequence[DeadLetter], *, each: bool = False) -> None:
        self._hook("transaction.park")
        for letter in letters:
            for stored in self._database.letters.values():
                if (stored.letter.ref, stored.letter.key) == (letter.ref, letter.key):
                    # This one may settle it, or open it again: a replay comes before or after, not meanwhile.
                    self._require(("letter", stored.number))
            self._at_commit.append(partial(self._keep, letter, each=each))

    def log_error(self, ref: TableRef, error: WarpError, times: int, correlation_id: str) -> None:
        self._hook("transaction.log_error")
        kept = (*ref, type(error).__name__, str(error), error.remedy, correlation_id, times)
        self._at_commit.append(partial(self._database.log_error, *kept))

    def unblock(self, ref: TableRef) -> None:
        self._hook("transaction.unblock")
        self._at_commit.append(partial(self._unblock, ref))

    def _unblock(self, ref: TableRef) -> None:
        if ref in self._database.known:
            self._database.known[ref].block = None

    def _keep(self, letter: DeadLetter, *, each: bool) -> None:
        letters, place = self._database.letters, (letter.ref, letter.position, letter.key)
        for stored in self._database.open_letters():
            other = stored.letter
            same = (other.ref, other.key, other.ts) == (letter.ref, letter.key, letter.ts)
            if same and other.position < letter.position and not each:
                self._settle(stored.number, LetterState.SUPERSEDED)
        held = letters.get(place)
        if held is None or held.letter.ts < letter.ts:
            letters[place] = StoredLetter(
                number=held.number if held else len(letters) + 1,
                letter=letter,
                state=LetterState.OPEN,
                attempts=held.attempts + 1 if held else 1,
                parked_at=self._now(),
                resolved_at=None,
            )
        self._database.log_error(*letter.ref, letter.error_class, letter.error, letter.remedy, letter.correlation_id)

    def lock_letter(self, number: int) -> StoredLetter | None:
        self._hook("transaction.lock_letter")
        self._require(("letter", number))
        stored = self._database.letter(number)
        return stored if stored is not None and stored.state is LetterState.OPEN else None

    def settle_letter(self, number: int, state: LetterState) -> None:
        self._hook("transaction.settle_letter")
        self._at_commit.append(partial(self._settle, number, state, int(state is LetterState.APPLIED)))

    def fail_letter(self, number: int, error: WarpError, traceback: str) -> None:
        self._hook("transaction.fail_letter")
        self._at_commit.append(partial(self._fail, number, error, traceback))

    def _settle(self, number: int, state: LetterState, attempts: int = 0) -> None:
        stored = self._database.letter(number)
        assert stored is not None
        self._database.change_letter(number, state=state, resolved_at=self._now(), attempts=stored.attempts + attempts)

    def _fail(self, number: int, error: WarpError, traceback: str) -> None:
        stored = self._database.letter(number)
        assert stored is not None
        letter = replace(
            stored.letter,
            error_class=type(error).__name__,
            error=str(error),
            remedy=error.remedy,
            traceback=traceback,
        )
        self._database.change_letter(number, letter=letter, attempts=stored.attempts + 1)

    def _supersede(
        self, ref: TableRef, states: Sequence[Write | Delete | HistoryRow], *, loads_only: bool = False
    ) -> int:
        """Replays of the same document wait for this transaction, and this one for them."""
        stamps = {state.key: state.ts for state in states}
        void = [
            stored.number
            for stored in self._database.open_letters()
            if stored.letter.ref == ref
            and stored.letter.ts <= stamps.get(stored.letter.key, -1)
            and (stored.letter.position == BEGINNING or not loads_only)
        ]
        for number in void:
            self._require(("letter", number))
            self._at_commit.append(partial(self._settle, number, LetterState.SUPERSEDED))
        return len(void)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._database.clock(), UTC)

    def _row(self, ref: TableRef, key: Key) -> Row | None:
        if (ref, key) in self._rows:
            return self._rows[ref, key]
        return self._database.rows.get(ref, {}).get(key)

    def _take(self, name: Hashable, *, shared: bool = False) -> bool:
        return self._database.locks.take(name, self, shared=shared)

    def _require(self, name: Hashable, *, shared: bool = False) -> None:
        if not self._take(name, shared=shared):
            raise Transient("another transaction has the lock")
