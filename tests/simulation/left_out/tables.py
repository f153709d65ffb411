"""Rules of reading documents: of when, in what order, and as of which time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pytest

from scheduler.snapshots import Snapshots
from scheduler.upheavals import Upheavals
from warp.change import Key, TableRef
from warp.destinations.base import Transaction
from warp.errors import StreamLost
from warp.filters import FieldFilter
from warp.sources.base import AsOf, Chunk, Piece
from warp.testing import MemoryDestination, MemoryMetadata, MemorySource
from warp.testing.transaction import MemoryTransaction
from workers.writer import Writer

_Patch = pytest.MonkeyPatch
_Result = TypeVar("_Result")


def sweep(patch: _Patch) -> None:
    """Rows of which a table that is read again has no document stay."""
    patch.setattr(MemoryDestination, "sweep", lambda self, ref, limit, *, soft: 0)


def passed(patch: _Patch) -> None:
    """A table that is read again is swept although the stream has yet to bring what was before."""
    patch.setattr(Snapshots, "_is_passed", lambda self, table: True)


def checkpoint_last(patch: _Patch) -> None:
    """When the history is lost, the checkpoint goes on before the tables are noted that must be read again."""
    history_lost = Upheavals.history_lost

    def without(self: Upheavals, lost: StreamLost) -> None:
        stream = self._source.open_stream(self._schema, None)
        self._destination.metadata.save_checkpoint(self._schema, stream.point, stream.point.ts)
        history_lost(self, lost)

    patch.setattr(Upheavals, "history_lost", without)


def chunk_lock(patch: _Patch) -> None:
    """A piece is written whoever has its chunk by now, and whether it is still to be loaded."""
    transact, shrink = Writer.transact, MemoryTransaction._shrink

    def unlocked(self: Writer, ref: TableRef, cause: str, work: Callable[[Transaction], _Result]) -> _Result:
        def load(transaction: Transaction) -> _Result:
            transaction.lock_chunk = lambda ref, chunk: Chunk(lower=None, upper=None)  # type: ignore[method-assign]
            return work(transaction)

        return transact(self, ref, cause, load if cause.startswith("first load") else work)

    def shrink_what_there_is(
        self: MemoryTransaction, ref: TableRef, number: int, lower: bytes, rows: int, first: bytes
    ) -> None:
        if number in self._database.known[ref].chunks:
            shrink(self, ref, number, lower, rows, first)

    patch.setattr(Writer, "transact", unlocked)
    patch.setattr(MemoryTransaction, "_shrink", shrink_what_there_is)


def lookup_after(patch: _Patch) -> None:
    """A document is looked up as it was before the change that says so."""
    lookup = MemorySource.lookup

    def without(
        self: MemorySource,
        schema: str,
        table: str,
        keys: Sequence[Key],
        after: int,
        fields: FieldFilter | None,
        *,
        decoding: Callable[[int], object],
    ) -> Iterator[AsOf]:
        return lookup(self, schema, table, keys, 0, fields, decoding=decoding)

    patch.setattr(MemorySource, "lookup", without)


def read_after(patch: _Patch) -> None:
    """A table is read as it was before the stream began, or before what makes it be read again."""
    read = MemorySource.read

    def without(
        self: MemorySource, schema: str, table: str, chunk: Chunk, after: int, fields: FieldFilter | None
    ) -> Iterator[Piece]:
        return read(self, schema, table, chunk, 0, fields)

    patch.setattr(MemorySource, "read", without)


def begins_at(patch: _Patch) -> None:
    """A table is read as of what a member says that may not know yet where the stream begins, or the replacement."""
    patch.setattr(MemoryMetadata, "begins_at", lambda self, ref: 0)


def time_of_the_state(patch: _Patch) -> None:
    """What was read is written with the time of the reading, though it is the state of an earlier one."""
    as_of = MemorySource._as_of

    def without(self: MemorySource, schema: str, table: str, after: int) -> tuple[int, dict[Key, Any]]:
        _, held = as_of(self, schema, table, after)
        return self._now(), held

    patch.setattr(MemorySource, "_as_of", without)
