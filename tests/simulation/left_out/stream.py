"""Rules of the way from the stream through the logs to the position of a partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from scheduler.backpressure import Backpressure
from scheduler.pending import Pending
from scheduler.tailer import Tailer
from warp.change import BEGINNING, Partition, RoutedChange, TableRef
from warp.destinations.base import PartitionState
from warp.sources.base import StreamBatch, StreamPoint
from warp.testing import MemoryLogs, MemoryMetadata, MemoryWakeups
from warp.testing.transaction import MemoryTransaction
from warp.transport.base import StoredEntry, Wakeup
from workers import sequence

_Patch = pytest.MonkeyPatch
_sequence = sequence.sequence


def prev(patch: _Patch) -> None:
    """An entry that begins after the marker is applied although there is a gap."""

    def without(position: str, partitions: int, stored: Iterable[StoredEntry]) -> sequence.Sequence:
        begun = [item._replace(entry=replace(item.entry, prev=BEGINNING)) for item in stored]
        return _sequence(position, partitions, begun)

    patch.setattr("workers.apply.sequence", without)


def of(patch: _Patch) -> None:
    """An entry that was routed by another number of partitions is applied."""

    def without(position: str, partitions: int, stored: Iterable[StoredEntry]) -> sequence.Sequence:
        ours = [
            item._replace(entry=replace(item.entry, partition=item.entry.partition._replace(of=partitions)))
            for item in stored
        ]
        return _sequence(position, partitions, ours)

    patch.setattr("workers.apply.sequence", without)


def settle(patch: _Patch) -> None:
    """A marker of another number of partitions is taken for one's own."""
    settle = Pending.settle

    def without(self: Pending, markers: Mapping[Partition, str]) -> None:
        by_number = {(marker.table, marker.number): position for marker, position in markers.items()}
        taken = {sent: by_number.get((sent.table, sent.number), BEGINNING) for sent, _ in self.newest()}
        settle(self, taken)

    patch.setattr(Pending, "settle", without)


def drained(patch: _Patch) -> None:
    """A table is given another number of partitions although something of it is not applied yet."""
    patch.setattr(Pending, "holds", lambda self, table: False)


def checkpoint(patch: _Patch) -> None:
    """The checkpoint is where the stream has been read to."""

    def without(self: Pending, end: StreamPoint) -> StreamPoint:
        return end

    patch.setattr(Pending, "low_watermark", without)


def resend(patch: _Patch) -> None:
    """Nobody looks whether what was sent is still there, nor hears that it is missing."""

    def nothing_missing(self: MemoryLogs, partitions: Sequence[Partition]) -> list[str]:
        return ["~" for _ in partitions]

    patch.setattr(MemoryLogs, "tails", nothing_missing)
    patch.setattr(MemoryLogs, "take_resends", lambda self, schema, epoch: False)


def revive(patch: _Patch) -> None:
    """Nobody looks after logs, and chunks, whose wake-up was lost."""

    def without(self: MemoryWakeups, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        return self.schedule(wakeups, correlation_id) if wakeups[0].kind == "load" else 0

    patch.setattr(MemoryWakeups, "revive", without)


def lock(patch: _Patch) -> None:
    """Two workers apply a partition at once."""

    def without(self: MemoryTransaction, partition: Partition) -> PartitionState:
        self._hook("transaction.lock_partition")
        self._make_marker(partition)
        return self._database.partition_state(partition)

    patch.setattr(MemoryTransaction, "lock_partition", without)


def blocked(patch: _Patch) -> None:
    """Nobody knows that a table takes nothing: its changes are sent all the same."""

    def without(self: MemoryMetadata, ref: TableRef, reason: str, remedy: str | None) -> None:
        self._hook("metadata.block")

    patch.setattr(MemoryMetadata, "block", without)


def high_water_mark(patch: _Patch) -> None:
    """A tailer goes on reading however much lies in the logs."""
    patch.setattr(Backpressure, "reached", False)


def kept_back(patch: _Patch) -> None:
    """A table of which changes were kept back is sent what comes next, once it takes changes again."""

    def without(self: Tailer, changes: Sequence[RoutedChange], start: StreamPoint) -> Sequence[RoutedChange]:
        waiting = {table for table in self._blocked if self._pending.holds(table)}
        for table in waiting & {change.table for change in changes}:
            self._pending.keep_back(table, start)
        return [change for change in changes if change.table not in waiting]

    patch.setattr(Tailer, "_without_blocked", without)


def events_first(patch: _Patch) -> None:
    """What happened to whole tables is carried out after the changes that came with it were sent."""
    next_batch = Tailer._next_batch

    def without(self: Tailer, start: StreamPoint) -> StreamBatch | None:
        batch = next_batch(self, start)
        if batch is None or not (batch.events and batch.changes):
            return batch
        self._meet(self._router.unknown_tables(batch.changes))
        self._send(self._without_blocked(batch.changes, start), start)
        return replace(batch, changes=())

    patch.setattr(Tailer, "_next_batch", without)
