"""Applying a partition's log: one transaction of the destination for each step, and the lease around a run of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from itertools import chain

from warp.change import Change, Delete, Partition, TableRef, Write
from warp.config import TableSettings
from warp.destinations.base import Destination, Transaction, Written, merged
from warp.errors import Poison
from warp.evolution.decide import decide
from warp.evolution.infer import Seen
from warp.evolution.shape import Shape
from warp.metadata.base import DeadLetter
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.sources.base import Source
from warp.transport.base import Logs, StoredEntry
from workers.report import Report
from workers.sequence import Coalesced, coalesce, sequence
from workers.sequence import Sequence as Sequenced
from workers.write import write_all

READ_ENTRIES = 16
"""Entries read from a log at once; each is of about a megabyte at most."""
READ_BYTES = 16 * 1024 * 1024
"""Payload of one step at most, give or take one entry."""


class Outcome(Enum):
    """What a step found."""

    APPLIED = "applied"
    EMPTY = "empty"
    BUSY = "busy"
    """Another worker has the partition."""


class ShapeTooSmall(Exception):
    """The table must be given columns first, outside of this transaction."""

    def __init__(self, seen: Seen) -> None:
        super().__init__("the table must evolve")
        self.seen = seen


class Applier:
    """Applies logs to tables. For one thread."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        logs: Logs,
        *,
        settings: Callable[[TableRef], TableSettings],
        report: Report,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`settings` of a table; `now` in seconds since 1970."""
        self._source = source
        self._destination = destination
        self._logs = logs
        self._settings = settings
        self._report = report
        self._now = now
        self._log = get_logger(__name__)

    def step(self, partition: Partition) -> Outcome:
        """Apply what lies at the head of a partition's log.

        Raises Transient, Fatal or ServerUnreachable, with nothing changed; the log keeps its entries.
        """
        started = self._now()
        while True:
            try:
                with self._destination.transaction() as transaction:
                    done = self._transact(transaction, partition)
                break
            except ShapeTooSmall as small:
                settings = self._settings(partition.ref)
                evolve(self._destination, partition.ref, small.seen, settings, str(partition), self._report)
        if done is None:
            return Outcome.BUSY
        if not done.read:
            return Outcome.EMPTY
        if done.gaps:
            self._logs.request_resend(partition.schema, done.gaps)
            self._log.warning("entries are missing, asked for them again", partition=str(partition))
        self._logs.remove(partition, done.read)
        if done.apply:
            metrics.STEP_SECONDS.labels(partition.schema).observe(self._now() - started)
        return Outcome.APPLIED

    def _transact(self, transaction: Transaction, partition: Partition) -> Sequenced | None:
        state = transaction.lock_partition(partition)
        if state is None:
            return None
        settings = self._settings(partition.ref)
        steps = sequence(state.position, state.partitions, self._read(partition, settings.batch_size))
        changes = [
            change
            for item, after in steps.apply
            for change in self._source.decode(item.entry.payload)
            if change.position > after
        ]
        if not changes:
            return steps
        written, poison = self._write(transaction, partition, coalesce(changes), tombstones=state.snapshot_open)
        if poison:
            last = {change.key: change for change in changes}
            transaction.park([self._letter(partition.ref, last[write.key], steps, error) for write, error in poison])
        transaction.advance(partition, steps.position, changes[-1].ts, len(changes))
        self._report.wrote(partition.ref, written, len(poison))
        correlation_ids = {item.entry.correlation_id for item, _ in steps.apply}
        self._report.applied(partition, changes, written, correlation_ids, self._now())
        return steps

    def _write(
        self, transaction: Transaction, partition: Partition, final: Coalesced, *, tombstones: bool
    ) -> tuple[Written, list[tuple[Write, Poison]]]:
        """Deletes first: where they leave tombstones, they take a lock that must come before those of rows."""
        ref, settings = partition.ref, self._settings(partition.ref)
        deletes = [Delete(change.key, change.ts) for change in final.deletes]
        whole = [Write(change.key, change.ts, change.record or {}) for change in final.whole]
        done: list[Written] = []
        poison: list[tuple[Write, Poison]] = []
        shape = transaction.shape(ref)
        for writes in chain([whole], self._looked_up(ref, final.lookups)):
            shape = fitting(shape, writes, deletes, settings)
            if shape is None:
                continue
            soft = settings.deletion_strategy == "soft"
            done.append(transaction.delete(ref, shape, deletes, soft=soft, tombstones=tombstones))
            deletes = []
            written, refused = write_all(partial(transaction.upsert, ref, shape), writes)
            done.append(written)
            poison += refused
        return merged(done), poison

    def _read(self, partition: Partition, changes: int) -> list[StoredEntry]:
        """Entries from the head of the log, up to about so many changes, few enough to bound the memory they take."""
        stored: list[StoredEntry] = []
        total = size = 0
        count = 1
        while total < changes and size < READ_BYTES:
            found = self._logs.read(partition, stored[-1].id if stored else None, count)
            stored += found
            total += sum(item.entry.changes for item in found)
            size += sum(len(item.entry.payload) for item in found)
            if len(found) < count:
                break
            share = min((changes - total) / max(1, total), (READ_BYTES - size) / max(1, size))
            count = max(1, min(READ_ENTRIES, int(share * len(stored))))
        return stored

    def _looked_up(self, ref: TableRef, changes: Sequence[Change]) -> Iterator[list[Write]]:
        """Updates with the document as it was at one time after them; what is missing then was deleted, and the stream
        will say so. Changes up to that time, which are still to come, find their row newer than they are."""
        if changes:
            keys, after = [change.key for change in changes], max(change.ts for change in changes)
            for ts, documents in self._source.lookup(ref.schema, ref.table, keys, after):
                yield [Write(key, ts, record) for key, record in documents]

    def _letter(self, ref: TableRef, change: Change, steps: Sequenced, error: Exception) -> DeadLetter:
        entry = next(item.entry for item, _ in steps.apply if item.entry.last >= change.position)
        return DeadLetter(
            ref=ref,
            key=change.key,
            operation=change.operation,
            position=change.position,
            ts=change.ts,
            payload=self._source.extract(entry.payload, change.position),
            error_class=type(error).__name__,
            error=str(error),
            correlation_id=entry.correlation_id,
        )


def fitting(
    shape: Shape | None, writes: Sequence[Write], deletes: Sequence[Delete], settings: TableSettings
) -> Shape | None:
    """The shape, if it takes all that; None where there is no table and no need of one. Raises ShapeTooSmall."""
    seen = Seen()
    seen.add_keys(write.key for write in writes)
    seen.add_keys(delete.key for delete in deletes)
    seen.add_records((write.record for write in writes), shape)
    if shape is None and seen.first_key_kind is None:
        return None
    if shape is None or decide(shape, seen, soft_delete=settings.deletion_strategy == "soft").changes:
        raise ShapeTooSmall(seen)
    return shape


def evolve(
    destination: Destination, ref: TableRef, seen: Seen, settings: TableSettings, cause: str, report: Report
) -> None:
    """Give the table the shape it needs."""
    report.evolved(ref, destination.evolve(ref, seen, soft_delete=settings.deletion_strategy == "soft", cause=cause))
