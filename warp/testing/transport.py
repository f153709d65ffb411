"""Partition logs and wake-ups in memory: `warp.transport.base.Logs` and `Wakeups` over one broker.

The broker can lose everything, or come back with an older state, as Redis can.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warp.change import Partition
from warp.testing.hook import Hook, passing
from warp.transport.base import Backlog, Entry, LetterJob, StoredEntry, Wakeup
from warp.transport.keys import LEASE_SECONDS, QUEUED_SECONDS

_Log = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class _Lease:
    expires: float
    job: int | None
    """The number of the job that waits in the queue; None: a worker has it."""


@dataclass(slots=True)
class HeldJob:
    """The job of a dead letter."""

    letter: LetterJob
    state: str = "failed"
    """Or "queued", or "started"."""
    expires: float = 0.0
    """When a started one counts as lost."""


@dataclass(slots=True)
class _State:
    logs: dict[_Log, list[StoredEntry]] = field(default_factory=dict)
    resends: set[tuple[str, str]] = field(default_factory=set)
    queue: dict[int, tuple[Wakeup, str]] = field(default_factory=dict)
    leases: dict[str, _Lease] = field(default_factory=dict)
    letters: dict[int, HeldJob] = field(default_factory=dict)


class MemoryBroker:
    """What logs and wake-ups are kept in."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds, only ever growing: leases expire by it."""
        self.clock = clock
        self.capacity: int | None = None
        self.state = _State()
        self._numbers = 0

    def number(self) -> int:
        """A number that is never given again, whatever is lost: Redis takes its ids from the clock."""
        self._numbers += 1
        return self._numbers

    def flush(self) -> None:
        """Lose everything."""
        self.state = _State()

    def save(self) -> _State:
        """The state as it is now."""
        return copy.deepcopy(self.state)

    def restore(self, saved: _State) -> None:
        """Come back with an older state."""
        self.state = copy.deepcopy(saved)


class MemoryLogs:
    """See `warp.transport.base.Logs` for the contract of each method."""

    def __init__(self, broker: MemoryBroker, *, hook: Hook = passing) -> None:
        self._broker = broker
        self._hook = hook

    def append(self, entries: Sequence[Entry]) -> None:
        self._hook("logs.append")
        for entry in entries:
            stored = StoredEntry(f"{self._broker.number():012}", entry)
            self._broker.state.logs.setdefault(_log(entry.partition), []).append(stored)
        self._hook("logs.appended")

    def read(self, partition: Partition, after: str | None, count: int) -> list[StoredEntry]:
        self._hook("logs.read")
        stored = self._broker.state.logs.get(_log(partition), [])
        return [item for item in stored if after is None or item.id > after][:count]

    def remove(self, partition: Partition, stored: Sequence[StoredEntry]) -> None:
        self._hook("logs.remove")
        gone = {item.id for item in stored}
        left = [item for item in self._broker.state.logs.get(_log(partition), ()) if item.id not in gone]
        if left:
            self._broker.state.logs[_log(partition)] = left
        else:
            self._broker.state.logs.pop(_log(partition), None)

    def tails(self, partitions: Sequence[Partition]) -> list[str | None]:
        self._hook("logs.tails")
        logs = [self._broker.state.logs.get(_log(partition)) for partition in partitions]
        return [log[-1].entry.last if log else None for log in logs]

    def backlog(self, schema: str) -> Mapping[tuple[str, int], Backlog]:
        self._hook("logs.backlog")
        return {
            (table, number): Backlog(sum(item.entry.changes for item in log), sum(item.entry.size for item in log))
            for (of_schema, table, number), log in self._broker.state.logs.items()
            if of_schema == schema
        }

    def capacity(self) -> int | None:
        self._hook("logs.capacity")
        return self._broker.capacity

    def request_resend(self, schema: str, epochs: Iterable[str]) -> None:
        self._hook("logs.request_resend")
        self._broker.state.resends.update((schema, epoch) for epoch in epochs)

    def take_resends(self, schema: str, epoch: str) -> bool:
        self._hook("logs.take_resends")
        asked = (schema, epoch) in self._broker.state.resends
        self._broker.state.resends.discard((schema, epoch))
        return asked


class MemoryWakeups:
    """See `warp.transport.base.Wakeups` for the contract of each method but `take`."""

    def __init__(self, broker: MemoryBroker, *, hook: Hook = passing) -> None:
        self._broker = broker
        self._hook = hook
        self._suspects: dict[str, int] = {}

    def take(self) -> tuple[Wakeup, str] | None:
        """The next wake-up and its correlation id, as a worker takes it off the queue; None: there is none."""
        self._hook("wakeups.take")
        queue = self._broker.state.queue
        return queue.pop(next(iter(queue))) if queue else None

    def schedule(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        self._hook("wakeups.schedule")
        return self._queue([wakeup for wakeup in wakeups if self._lease(wakeup) is None], correlation_id)

    def revive(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        self._hook("wakeups.revive")
        return self._queue([wakeup for wakeup in wakeups if not self._under_way(wakeup)], correlation_id)

    def requeue(self, wakeup: Wakeup, correlation_id: str) -> None:
        self._hook("wakeups.requeue")
        self._queue([wakeup], correlation_id)

    def claim(self, wakeup: Wakeup) -> bool:
        self._hook("wakeups.claim")
        if self._lease(wakeup) is not None:
            return False
        self._hold(wakeup)
        return True

    def renew(self, wakeup: Wakeup) -> None:
        self._hook("wakeups.renew")
        self._hold(wakeup)

    def postpone(self, wakeup: Wakeup, seconds: float) -> None:
        self._hook("wakeups.postpone")
        self._hold(wakeup, seconds)

    def release(self, wakeup: Wakeup) -> None:
        self._hook("wakeups.release")
        self._broker.state.leases.pop(wakeup.name, None)

    def _lease(self, wakeup: Wakeup) -> _Lease | None:
        lease = self._broker.state.leases.get(wakeup.name)
        return lease if lease is not None and lease.expires > self._broker.clock() else None

    def _under_way(self, wakeup: Wakeup) -> bool:
        lease = self._lease(wakeup)
        suspected = self._suspects.pop(wakeup.name, None)
        if lease is None or lease.job is None:
            return lease is not None
        if lease.job in self._broker.state.queue:
            return True
        self._suspects[wakeup.name] = lease.job
        return lease.job != suspected

    def _hold(self, wakeup: Wakeup, seconds: float = LEASE_SECONDS) -> None:
        self._broker.state.leases[wakeup.name] = _Lease(self._broker.clock() + seconds, None)

    def _queue(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        for wakeup in wakeups:
            job = self._broker.number()
            self._broker.state.queue[job] = (wakeup, correlation_id)
            self._broker.state.leases[wakeup.name] = _Lease(self._broker.clock() + QUEUED_SECONDS, job)
        return len(wakeups)


def _log(partition: Partition) -> _Log:
    return partition.schema, partition.table, partition.number
