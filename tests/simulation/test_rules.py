"""Each rule of the protocol is needed: without it, some run ends wrong. So the simulation can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from scheduler.pending import Pending
from tests.simulation.weather import weather
from tests.simulation.world import World
from warp.change import BEGINNING, Partition
from warp.destinations.base import PartitionState
from warp.sources.base import StreamPoint
from warp.testing import MemoryLogs
from warp.testing.transaction import MemoryTransaction
from warp.transport.base import StoredEntry
from workers import sequence

SEEDS = 2000
"""Runs in which the difference must be found."""
_sequence = sequence.sequence


def _prev(patch: pytest.MonkeyPatch) -> None:
    """An entry that begins after the marker is applied although there is a gap."""

    def without(position: str, partitions: int, stored: Iterable[StoredEntry]) -> sequence.Sequence:
        begun = [item._replace(entry=replace(item.entry, prev=BEGINNING)) for item in stored]
        return _sequence(position, partitions, begun)

    patch.setattr("workers.apply.sequence", without)


def _of(patch: pytest.MonkeyPatch) -> None:
    """An entry that was routed by another number of partitions is applied."""

    def without(position: str, partitions: int, stored: Iterable[StoredEntry]) -> sequence.Sequence:
        ours = [
            item._replace(entry=replace(item.entry, partition=item.entry.partition._replace(of=partitions)))
            for item in stored
        ]
        return _sequence(position, partitions, ours)

    patch.setattr("workers.apply.sequence", without)


def _settle(patch: pytest.MonkeyPatch) -> None:
    """A marker of another number of partitions is taken for one's own."""
    settle = Pending.settle

    def without(self: Pending, markers: Mapping[Partition, str]) -> None:
        by_number = {(marker.table, marker.number): position for marker, position in markers.items()}
        taken = {sent: by_number.get((sent.table, sent.number), BEGINNING) for sent, _ in self.newest()}
        settle(self, taken)

    patch.setattr(Pending, "settle", without)


def _guard(patch: pytest.MonkeyPatch) -> None:
    """A write that is older than its row is written."""
    patch.setattr(MemoryTransaction, "_is_newer", staticmethod(lambda row, write: True))
    patch.setattr(MemoryTransaction, "_may_load", lambda self, ref, row, write: not self._is_buried(ref, write))


def _tombstone(patch: pytest.MonkeyPatch) -> None:
    """A row of a snapshot is written although its document was deleted after it was read."""
    patch.setattr(MemoryTransaction, "_is_buried", lambda self, ref, write: False)


def _delete_guard(patch: pytest.MonkeyPatch) -> None:
    """A delete that is older than its row deletes it."""
    patch.setattr(MemoryTransaction, "_may_delete", staticmethod(lambda row, delete: True))


def _checkpoint(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint is where the stream has been read to."""

    def without(self: Pending, end: StreamPoint) -> StreamPoint:
        return end

    patch.setattr(Pending, "low_watermark", without)


def _resend(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether what was sent is still there, nor hears that it is missing."""

    def nothing_missing(self: MemoryLogs, partitions: Sequence[Partition]) -> list[str]:
        return ["~" for _ in partitions]

    patch.setattr(MemoryLogs, "tails", nothing_missing)
    patch.setattr(MemoryLogs, "take_resends", lambda self, schema, epoch: False)


def _lock(patch: pytest.MonkeyPatch) -> None:
    """Two workers apply a partition at once."""

    def without(self: MemoryTransaction, partition: Partition) -> PartitionState:
        self._hook("transaction.lock_partition")
        self._make_marker(partition)
        return self._database.partition_state(partition)

    patch.setattr(MemoryTransaction, "lock_partition", without)


_RULES: tuple[tuple[Callable[[pytest.MonkeyPatch], None], dict[str, Any]], ...] = (
    (_prev, {}),
    (_of, {"repartitioned": True, "pauses": 0.01, "faults": 0.0, "turns": 200}),
    (_settle, {"repartitioned": True, "pauses": 0.01, "faults": 0.0, "turns": 200}),
    (_guard, {}),
    (_tombstone, {"loaded": True, "slow_loads": True, "pauses": 0.0, "faults": 0.0}),
    (_delete_guard, {}),
    (_checkpoint, {}),
    (_resend, {}),
    (_lock, {"pauses": 0.02, "faults": 0.0}),
)
"""Each with the kind of run that is most likely to need it."""


@pytest.mark.parametrize(("leave_out", "kind"), _RULES, ids=[rule.__name__.strip("_") for rule, _ in _RULES])
def test_without_the_rule_a_run_ends_wrong_that_ends_right_with_it(
    leave_out: Callable[[pytest.MonkeyPatch], None], kind: dict[str, Any]
) -> None:
    def run(seed: int) -> list[str]:
        return World(seed, replace(weather(Random(seed)), **kind)).run()

    with pytest.MonkeyPatch.context() as patch:
        leave_out(patch)
        seed = next(seed for seed in range(SEEDS) if run(seed))
    assert run(seed) == []
