"""The rules of the protocol, each of which can be left out: what a run would be without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import pytest

from scheduler.backpressure import Backpressure
from scheduler.pending import Pending
from scheduler.snapshots import Snapshots
from tests.simulation.weather import Weather, forecast
from warp.change import BEGINNING, Partition, TableRef
from warp.destinations.base import PartitionState
from warp.metadata.base import DeadLetter
from warp.sources.base import StreamPoint
from warp.testing import MemoryDatabase, MemoryDestination, MemoryLogs, MemoryMetadata, MemoryWakeups
from warp.testing.transaction import MemoryTransaction
from warp.transport.base import StoredEntry, Wakeup
from workers import sequence

_Patch = pytest.MonkeyPatch
_sequence = sequence.sequence


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule, and the weather that is most likely to need it."""

    leave_out: Callable[[_Patch], None]
    kind: str = "any"
    weather: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the tests call it."""
        return self.leave_out.__name__.strip("_")

    def forecast(self, seed: int) -> Weather:
        """The weather of a run that is likely to need the rule."""
        return forecast(seed, self.kind, **self.weather)


def _prev(patch: _Patch) -> None:
    """An entry that begins after the marker is applied although there is a gap."""

    def without(position: str, partitions: int, stored: Iterable[StoredEntry]) -> sequence.Sequence:
        begun = [item._replace(entry=replace(item.entry, prev=BEGINNING)) for item in stored]
        return _sequence(position, partitions, begun)

    patch.setattr("workers.apply.sequence", without)


def _of(patch: _Patch) -> None:
    """An entry that was routed by another number of partitions is applied."""

    def without(position: str, partitions: int, stored: Iterable[StoredEntry]) -> sequence.Sequence:
        ours = [
            item._replace(entry=replace(item.entry, partition=item.entry.partition._replace(of=partitions)))
            for item in stored
        ]
        return _sequence(position, partitions, ours)

    patch.setattr("workers.apply.sequence", without)


def _settle(patch: _Patch) -> None:
    """A marker of another number of partitions is taken for one's own."""
    settle = Pending.settle

    def without(self: Pending, markers: Mapping[Partition, str]) -> None:
        by_number = {(marker.table, marker.number): position for marker, position in markers.items()}
        taken = {sent: by_number.get((sent.table, sent.number), BEGINNING) for sent, _ in self.newest()}
        settle(self, taken)

    patch.setattr(Pending, "settle", without)


def _drained(patch: _Patch) -> None:
    """A table is given another number of partitions although something of it is not applied yet."""
    patch.setattr(Pending, "holds", lambda self, table: False)


def _guard(patch: _Patch) -> None:
    """A write that is older than its row is written."""
    patch.setattr(MemoryTransaction, "_is_newer", staticmethod(lambda row, write: True))
    patch.setattr(MemoryTransaction, "_may_load", lambda self, ref, row, write: not self._is_buried(ref, write))


def _tombstone(patch: _Patch) -> None:
    """A row of a snapshot is written although its document was deleted after it was read."""
    patch.setattr(MemoryTransaction, "_is_buried", lambda self, ref, write: False)


def _delete_guard(patch: _Patch) -> None:
    """A delete that is older than its row deletes it."""
    patch.setattr(MemoryTransaction, "_may_delete", staticmethod(lambda row, delete: True))


def _checkpoint(patch: _Patch) -> None:
    """The checkpoint is where the stream has been read to."""

    def without(self: Pending, end: StreamPoint) -> StreamPoint:
        return end

    patch.setattr(Pending, "low_watermark", without)


def _resend(patch: _Patch) -> None:
    """Nobody looks whether what was sent is still there, nor hears that it is missing."""

    def nothing_missing(self: MemoryLogs, partitions: Sequence[Partition]) -> list[str]:
        return ["~" for _ in partitions]

    patch.setattr(MemoryLogs, "tails", nothing_missing)
    patch.setattr(MemoryLogs, "take_resends", lambda self, schema, epoch: False)


def _revive(patch: _Patch) -> None:
    """Nobody looks after logs, and chunks, whose wake-up was lost."""

    def without(self: MemoryWakeups, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        return self.schedule(wakeups, correlation_id) if wakeups[0].kind == "load" else 0

    patch.setattr(MemoryWakeups, "revive", without)


def _lock(patch: _Patch) -> None:
    """Two workers apply a partition at once."""

    def without(self: MemoryTransaction, partition: Partition) -> PartitionState:
        self._hook("transaction.lock_partition")
        self._make_marker(partition)
        return self._database.partition_state(partition)

    patch.setattr(MemoryTransaction, "lock_partition", without)


def _supersede(patch: _Patch) -> None:
    """A dead letter stays open although a later state of its document was written, or deleted."""
    patch.setattr(MemoryTransaction, "_supersede", lambda self, ref, states: 0)


def _last_letter(patch: _Patch) -> None:
    """Of the changes of one transaction to one document, each one's dead letter stays open."""
    keep = MemoryTransaction._keep

    def without(self: MemoryTransaction, letter: DeadLetter) -> None:
        with mock.patch.object(self._database, "open_letters", return_value=[]):
            keep(self, letter)

    patch.setattr(MemoryTransaction, "_keep", without)


def _floor(patch: _Patch) -> None:
    """A change from before a table was dropped or replaced is applied after that."""
    state = MemoryDatabase.partition_state

    def without(self: MemoryDatabase, partition: Partition) -> PartitionState:
        return replace(state(self, partition), floor=0)

    patch.setattr(MemoryDatabase, "partition_state", without)


def _sweep(patch: _Patch) -> None:
    """Rows of which a table that is read again has no document stay."""
    patch.setattr(MemoryDestination, "sweep", lambda self, ref, limit, *, soft: 0)


def _passed(patch: _Patch) -> None:
    """A table that is read again is swept although the stream has yet to bring what was before."""
    patch.setattr(Snapshots, "_is_passed", lambda self, table: True)


def _blocked(patch: _Patch) -> None:
    """Nobody knows that a table takes nothing: its changes are sent all the same."""

    def without(self: MemoryMetadata, ref: TableRef, reason: str, remedy: str | None) -> None:
        self._hook("metadata.block")

    patch.setattr(MemoryMetadata, "block", without)


def _high_water_mark(patch: _Patch) -> None:
    """A tailer goes on reading however much lies in the logs."""
    patch.setattr(Backpressure, "reached", False)


_CALM = {"pauses": 0.0, "faults": 0.0, "redis": 0.0, "losses": 0.0, "upheavals": 0.0, "poison": 0.0}
RULES = (
    Rule(leave_out=_prev, weather={"redis": 0.08, "turns": 120}),
    Rule(leave_out=_of, kind="repartitioned", weather=_CALM),
    Rule(leave_out=_settle, kind="repartitioned", weather=_CALM),
    Rule(leave_out=_drained, kind="repartitioned"),
    Rule(leave_out=_guard),
    Rule(leave_out=_tombstone, kind="loads", weather={"pauses": 0.0, "faults": 0.0}),
    Rule(leave_out=_delete_guard),
    Rule(leave_out=_checkpoint),
    Rule(leave_out=_resend, weather={"redis": 0.08}),
    Rule(leave_out=_revive),
    Rule(
        leave_out=_lock,
        weather={"pauses": 0.1, "faults": 0.0, "redis": 0.06, "poison": 0.0, "losses": 0.0, "turns": 160},
    ),
    Rule(leave_out=_supersede, kind="letters"),
    Rule(leave_out=_last_letter, kind="letters", weather={"turns": 160}),
    Rule(leave_out=_floor, kind="upheavals"),
    Rule(leave_out=_sweep, kind="losses"),
    Rule(leave_out=_passed, kind="upheavals", weather={"losses": 0.02, "breakage": 0.0, "turns": 160}),
    Rule(leave_out=_blocked, kind="breakage"),
    Rule(leave_out=_high_water_mark, weather={"outages": 0.0, "pauses": 0.1, "turns": 160}),
)
