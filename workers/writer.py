"""Writing the last states of documents: what every apply step and every replay of a dead letter does in between.

The table is given the shape that it needs outside of the transaction, which begins again then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from warp.change import BEGINNING, Change, Delete, Key, TableRef, Write
from warp.config import TableSettings
from warp.destinations.base import Destination, PartitionState, Transaction, Written, merged
from warp.errors import Poison, UpdatesLost
from warp.evolution.decide import decide
from warp.evolution.infer import Seen
from warp.evolution.misfits import in_force
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.layouts import Form, require_layout
from warp.sources.base import Source
from workers.history import Told, is_looked_up, told
from workers.report import Report
from workers.sequence import Coalesced, coalesce
from workers.write import write_all

_CATCH_UP_FIRST = "nothing brings them back; drop a collection when the mirror has caught up, if its last state matters"

_Result = TypeVar("_Result")


class ShapeTooSmall(Exception):
    """The table must evolve first, outside of this transaction."""

    def __init__(self, seen: Seen) -> None:
        super().__init__("the table must evolve")
        self.seen = seen
        self.position = BEGINNING
        """Up to where in the stream that was seen; BEGINNING where it was read by a first load."""


class Writer:
    """Writes to tables, in transactions that it opens. For one thread."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        *,
        settings: Callable[[TableRef], TableSettings],
        report: Report,
    ) -> None:
        """`settings` of a table."""
        self._source = source
        self._destination = destination
        self._settings = settings
        self._report = report

    def transact(self, ref: TableRef, cause: str, work: Callable[[Transaction], _Result]) -> _Result:
        """What `work` returns, its transaction committed; it is called again whenever the table had to evolve for it.

        `cause` is why that was, for the registry of shapes. Raises whatever `work` or the commit raises.
        """
        while True:
            try:
                with self._destination.transaction() as transaction:
                    return work(transaction)
            except ShapeTooSmall as small:
                rules = self._settings(ref).rules
                decision = self._destination.evolve(ref, small.seen, rules, cause=cause, position=small.position)
                self._report.evolved(ref, decision)

    def write(
        self,
        transaction: Transaction,
        ref: TableRef,
        changes: Sequence[Change],
        state: PartitionState,
        correlation_id: str,
    ) -> tuple[Written, list[tuple[Change, Poison]]]:
        """Write what changes come to; those that can never be stored come back with the reason."""
        if self._settings(ref).layout is Layout.HISTORY:
            return self._append(transaction, ref, changes, state, correlation_id)
        final = coalesce(change for change in changes if change.ts >= state.floor)
        last = {change.key: change for change in final}
        written, poison = self._write(transaction, ref, final, state, correlation_id)
        return written, [(last[refused.key], error) for refused, error in poison]

    def _append(
        self,
        transaction: Transaction,
        ref: TableRef,
        changes: Sequence[Change],
        state: PartitionState,
        correlation_id: str,
    ) -> tuple[Written, list[tuple[Change, Poison]]]:
        """Keep every change, also those from before the table was replaced: they were made."""
        settings = self._settings(ref)
        lost = {change.key for change in changes if is_looked_up(change) and change.ts < state.kept}
        done: list[Written] = []
        poison: list[tuple[Change, Poison]] = []
        shape = transaction.shape(ref)
        for found in told(changes, partial(self._looked_up, transaction, ref, applied=state.ts)):
            lost -= {change.key for change, row in found if is_looked_up(change) and row.record is not None}
            writes = [Write(row.key, row.ts, row.record or {}) for _, row in found]
            try:
                shape = fitting(shape, writes, (), settings)
            except ShapeTooSmall as small:
                small.position = max(change.position for change in changes)
                raise
            if shape is not None:
                written, refused = write_all(partial(_append_told, transaction, ref, shape), found)
                done.append(written)
                poison += [(change, error) for (change, _), error in refused]
        return merged([*done, self._note_lost(transaction, ref, lost, correlation_id)]), poison

    @staticmethod
    def _note_lost(transaction: Transaction, ref: TableRef, lost: Collection[Key], correlation_id: str) -> Written:
        if lost:
            transaction.log_error(ref, UpdatesLost(remedy=_CATCH_UP_FIRST), len(lost), correlation_id)
        return Written(lost=len(lost))

    def _write(
        self, transaction: Transaction, ref: TableRef, final: Coalesced, state: PartitionState, correlation_id: str
    ) -> tuple[Written, list[tuple[Write | Delete, Poison]]]:
        """Write last states. Updates from before a drop whose document is gone are lost, and noted.

        Deletes first: where they leave tombstones, they take a lock that must come before those of rows.
        """
        settings = self._settings(ref)
        deletes = [Delete(change.key, change.ts) for change in final.deletes]
        whole = [Write(change.key, change.ts, change.record or {}) for change in final.whole]
        lost = {change.key for change in final.lookups if change.ts < state.kept}
        done: list[Written] = []
        poison: list[tuple[Write | Delete, Poison]] = []
        shape = transaction.shape(ref)
        for writes in chain([whole], self._looked_up(transaction, ref, final.lookups, state.ts)):
            if lost:
                lost -= {write.key for write in writes}
            try:
                shape = fitting(shape, writes, deletes, settings)
                if shape is None:
                    continue
                soft = settings.deletion_strategy == "soft"
                deleted, undeleted = write_all(
                    partial(transaction.delete, ref, shape, soft=soft, tombstones=state.snapshot_open), deletes
                )
                deletes = []
                written, refused = write_all(partial(transaction.upsert, ref, shape), writes)
                require_fit(shape, written, writes)
            except ShapeTooSmall as small:
                small.position = max(change.position for change in final)
                raise
            done += [deleted, written]
            poison += [*undeleted, *refused]
        return merged([*done, self._note_lost(transaction, ref, lost, correlation_id)]), poison

    def _looked_up(
        self, transaction: Transaction, ref: TableRef, changes: Sequence[Change], applied: int
    ) -> Iterator[list[Write]]:
        """Updates with the document as it was at one time after them; what is missing then was deleted, and the stream
        will say so. Changes up to that time, which are still to come, find their row newer than they are.

        Not as it was before `applied`: a delete that was applied leaves no row that would show that it is newer.
        """
        if changes:
            keys, after = [change.key for change in changes], max(applied, *(change.ts for change in changes))
            fields = self._settings(ref).fields
            found = self._source.lookup(*ref, keys, after, fields, decoding=transaction.expect_decoding)
            for ts, documents in found:
                yield [Write(key, ts, record) for key, record in documents]


def decoded(source: Source, transaction: Transaction, payload: bytes, fields: Form | None) -> list[Change]:
    """The changes of a payload, decoded while the transaction waits."""
    transaction.expect_decoding(len(payload))
    return source.decode(payload, fields)


def _append_told(transaction: Transaction, ref: TableRef, shape: Shape, found: Sequence[Told]) -> Written:
    return transaction.append(ref, shape, [row for _, row in found])


def fitting(
    shape: Shape | None, writes: Sequence[Write], deletes: Sequence[Delete], settings: TableSettings
) -> Shape | None:
    """The shape, if it takes all that, without what is settled by rules that are no more in force: a document with such
    a value has it decided anew (`require_fit`), and is no dead letter for it. None where there is no table and no need
    of one. Raises ShapeTooSmall, and Fatal for a table of another layout than it is to have."""
    if shape is not None:
        require_layout(shape, settings.rules)
    seen = Seen()
    seen.add_keys(write.key for write in writes)
    seen.add_keys(delete.key for delete in deletes)
    seen.add_records((write.record for write in writes), shape)
    if shape is None and seen.first_key_kind is None:
        return None
    if shape is None or decide(shape, seen, settings.rules).changes:
        raise ShapeTooSmall(seen)
    return in_force(shape, settings.rules)


def require_fit(shape: Shape, written: Written, writes: Sequence[Write]) -> None:
    """Raises ShapeTooSmall where columns did not take values, and it is not settled yet what becomes of those."""
    if not written.misfits:
        return
    seen = Seen()
    seen.add_misfits(written.misfits, (write.record for write in writes), shape)
    if seen.misfits:
        raise ShapeTooSmall(seen)
