"""Rules of what may be written to a row, and of what could not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warp.change import Partition
from warp.destinations.base import PartitionState
from warp.metadata.base import DeadLetter
from warp.testing import MemoryDatabase
from warp.testing.transaction import MemoryTransaction

_Patch = pytest.MonkeyPatch


def guard(patch: _Patch) -> None:
    """A write that is older than its row is written."""
    patch.setattr(MemoryTransaction, "_is_newer", staticmethod(lambda row, write: True))
    patch.setattr(MemoryTransaction, "_may_load", lambda self, ref, row, write: not self._is_buried(ref, write))


def tombstone(patch: _Patch) -> None:
    """A row of a snapshot is written although its document was deleted after it was read."""
    patch.setattr(MemoryTransaction, "_is_buried", lambda self, ref, write: False)


def delete_guard(patch: _Patch) -> None:
    """A delete that is older than its row deletes it."""
    patch.setattr(MemoryTransaction, "_may_delete", staticmethod(lambda row, delete: True))


def supersede(patch: _Patch) -> None:
    """A dead letter stays open although a later state of its document was written, or deleted."""
    patch.setattr(MemoryTransaction, "_supersede", lambda self, ref, states: 0)


def last_letter(patch: _Patch) -> None:
    """Of the changes of one transaction to one document, each one's dead letter stays open."""
    keep = MemoryTransaction._keep

    def without(self: MemoryTransaction, letter: DeadLetter, *, each: bool) -> None:
        keep(self, letter, each=True)

    patch.setattr(MemoryTransaction, "_keep", without)


def floor(patch: _Patch) -> None:
    """A change from before a table was dropped or replaced is applied after that."""
    state = MemoryDatabase.partition_state

    def without(self: MemoryDatabase, partition: Partition) -> PartitionState:
        return replace(state(self, partition), floor=0)

    patch.setattr(MemoryDatabase, "partition_state", without)


def replay_after(patch: _Patch) -> None:
    """A dead letter's document is looked up as it was after the letter, perhaps before a delete that is applied."""
    state = MemoryDatabase.partition_state

    def without(self: MemoryDatabase, partition: Partition) -> PartitionState:
        return replace(state(self, partition), ts=0)

    patch.setattr(MemoryDatabase, "partition_state", without)
