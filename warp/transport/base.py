"""The contract of the transport: partition logs and wake-ups; `tests/contract/test_transport.py` tests it.

Both may lose anything at any time, deliver twice, or come back with an older state: sender and receiver must be, and
are, right all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from warp.change import Partition, TableRef

ENTRY_OVERHEAD = 1024
"""Bytes that an entry takes beside its payload: two positions, the fields, and what its sender remembers of it.

Without it, very many entries of one small change each would count for little and take a lot.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A true statement: "these are all the changes of this partition after `prev`, up to `last`"."""

    partition: Partition
    prev: str
    last: str
    changes: int
    epoch: str
    """Names one start of one tailer: a gap is reported to whoever left it."""
    correlation_id: str
    payload: bytes
    """Changes in the source's own bytes, joined."""

    @property
    def size(self) -> int:
        """What the entry takes in its log, in bytes, about."""
        return len(self.payload) + ENTRY_OVERHEAD


class StoredEntry(NamedTuple):
    """An entry as it lies in its log."""

    id: str
    entry: Entry


class Backlog(NamedTuple):
    """What lies in a log and is not yet applied; `bytes` is the sum of `Entry.size`."""

    changes: int
    bytes: int


class Logs(Protocol):
    """One log for each partition. Raises Transient or ServerUnreachable; what was sent is not known then."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries to their logs, in that order."""

    def read(self, partition: Partition, after: str | None, count: int) -> list[StoredEntry]:
        """Up to `count` entries in order, after the entry of that id or from the beginning."""

    def remove(self, partition: Partition, stored: Sequence[StoredEntry]) -> None:
        """Delete entries; those already gone are passed over."""

    def tails(self, partitions: Sequence[Partition]) -> list[str | None]:
        """`last` of the newest entry of each log; None where a log is empty."""

    def backlog(self, schema: str) -> Mapping[tuple[str, int], Backlog]:
        """What lies in the logs of a schema, by table and partition."""

    def capacity(self) -> int | None:
        """The most bytes that all logs, and everything beside them, may take; None: as many as there are."""

    def request_resend(self, schema: str, epochs: Iterable[str]) -> None:
        """Tell the tailers that entries of theirs are missing."""

    def take_resends(self, schema: str, epoch: str) -> bool:
        """Whether a resend was asked of that epoch; the request is gone then."""


class Wakeup(NamedTuple):
    """Work for some worker: drain a partition (`kind` "apply"), or load a chunk of a snapshot (`kind` "load")."""

    kind: str
    ref: TableRef
    number: int
    """The partition, or the chunk."""
    of: int
    """The number of partitions it was routed by; 0 for a chunk."""

    @property
    def name(self) -> str:
        """Distinct for distinct work."""
        return f"{self.kind}:{self.ref}:{self.number}"

    @property
    def partition(self) -> Partition:
        """The partition to drain."""
        return Partition(self.ref.schema, self.ref.table, self.number, self.of)


def apply_wakeup(partition: Partition) -> Wakeup:
    """The wake-up that has a partition drained."""
    return Wakeup("apply", partition.ref, partition.number, partition.of)


def load_wakeup(ref: TableRef, chunk: int) -> Wakeup:
    """The wake-up that has a chunk of a snapshot loaded."""
    return Wakeup("load", ref, chunk, 0)


class Wakeups(Protocol):
    """At most one wake-up is under way for the same work, as long as its lease is renewed."""

    def schedule(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        """Queue those that are not scheduled already; returns how many were."""

    def revive(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        """Queue those that are neither in a queue nor held by a worker that lives; returns how many were.

        One that has just left its queue counts as held until the next call.
        """

    def requeue(self, wakeup: Wakeup, correlation_id: str) -> None:
        """Put work back at the end of its queue."""

    def claim(self, wakeup: Wakeup) -> bool:
        """Take the lease if nobody has it."""

    def renew(self, wakeup: Wakeup) -> None:
        """Hold the lease for another while, whoever had it."""

    def postpone(self, wakeup: Wakeup, seconds: float) -> None:
        """Hold the lease for that long, whoever had it, without anybody being at work."""

    def release(self, wakeup: Wakeup) -> None:
        """Give the lease back."""


class LetterJob(NamedTuple):
    """A dead letter as a failed job shows it. Nothing in it is a document's value."""

    number: int
    ref: TableRef
    description: str
    traceback: str
    parked_at: datetime


class LetterJobs(Protocol):
    """Open dead letters as failed jobs, for a person to look at and to requeue: a worker replays the letter then.

    A replay that succeeds removes its job; one that fails makes it a failed one again.
    """

    def settle(self, schema: str, opened: Collection[int]) -> list[int]:
        """Remove the failed jobs of a schema's letters that are not among those; returns which of those have no job.

        One that waits in its queue, or is being replayed, has a job, and keeps it. One that has just left its queue
        counts as being replayed until the next call.
        """

    def fail(self, jobs: Sequence[LetterJob]) -> int:
        """Make failed jobs, but of letters that have a job by now; returns how many."""
