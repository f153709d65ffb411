"""Applying a partition's log: one transaction of the destination for each step, and the lease around a run of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from functools import partial

from warp.change import Change, Partition, TableRef
from warp.config import TableSettings
from warp.destinations.base import Destination, Transaction
from warp.errors import Poison
from warp.evolution.rules import Layout
from warp.metadata.base import DeadLetter
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.sources.base import Source
from warp.traces import trace
from warp.transport.base import Logs, StoredEntry
from workers.report import Report
from workers.sequence import Sequence as Sequenced
from workers.sequence import sequence
from workers.writer import Writer, decoded

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
        self._writer = Writer(source, destination, settings=settings, report=report)
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
        done = self._writer.transact(partition.ref, f"change stream, {partition}", partial(self._transact, partition))
        if done is None:
            return Outcome.BUSY
        if not done.read:
            return Outcome.EMPTY
        # First: asking takes memory of Redis, of which there may be none until something is removed. Not to ask is no
        # loss: the tailer sees that its newest entry is gone, or the next one shows the same gap.
        self._logs.remove(partition, done.read)
        if done.gaps:
            self._logs.request_resend(partition.schema, done.gaps)
            self._log.warning("entries are missing, asked for them again", partition=str(partition))
        if done.apply:
            metrics.STEP_SECONDS.labels(partition.schema).observe(self._now() - started)
        return Outcome.APPLIED

    def _transact(self, partition: Partition, transaction: Transaction) -> Sequenced | None:
        state = transaction.lock_partition(partition)
        if state is None:
            return None
        settings = self._settings(partition.ref)
        steps = sequence(state.position, state.partitions, self._read(partition, settings.batch_size))
        changes = [
            change
            for item, after in steps.apply
            for change in decoded(self._source, transaction, item.entry.payload, settings.fields)
            if change.position > after
        ]
        if not changes:
            return steps
        newest = steps.apply[-1][0].entry
        written, poison = self._writer.write(transaction, partition.ref, changes, state, newest.correlation_id)
        if poison:
            letters = [self._letter(partition.ref, change, steps, error) for change, error in poison]
            transaction.park(letters, each=settings.layout is Layout.HISTORY)
        if state.blocked:
            self._log.info("the table takes changes again", table=str(partition.ref))
            transaction.unblock(partition.ref)
        transaction.advance(partition, steps.position, changes[-1].ts, len(changes))
        transaction.count_kept(partition.ref, written.kept)
        self._report.wrote(partition.ref, written, len(poison))
        correlation_ids = {item.entry.correlation_id for item, _ in steps.apply}
        self._report.applied(partition, changes, written, correlation_ids, self._now())
        return steps

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

    def _letter(self, ref: TableRef, change: Change, steps: Sequenced, error: Poison) -> DeadLetter:
        entry = next(item.entry for item, _ in steps.apply if item.entry.last >= change.position)
        # The bytes hold what is left out or masked: without them, a replay looks the document up by its key.
        filtered = self._settings(ref).filter is not None
        payload = b"" if filtered else self._source.extract(entry.payload, change.position)
        return DeadLetter(
            ref=ref,
            key=change.key,
            operation=change.operation,
            position=change.position,
            ts=change.ts,
            payload=payload,
            error_class=type(error).__name__,
            error=str(error),
            remedy=error.remedy,
            traceback=trace(error),
            correlation_id=entry.correlation_id,
        )
