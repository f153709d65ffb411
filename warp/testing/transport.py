"""Logs, wake-ups and jobs of letters in memory: `warp.transport.base.Logs`, `Wakeups` and `LetterJobs` over one broker.

The broker can lose everything, or come back with an older state, as Redis can.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warp.change import Partition
from warp.testing.hook import Hook, passing
from warp.transport.base import Backlog, Entry, LetterJob, StoredEntry, Wakeup
from warp.transport.keys import LEASE_SECONDS, QUEUED_SECONDS, REPLAY_SECONDS

_Log = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class _Lease:
    expires: float
    job: int | None
    """The number of the job that waits in the queue; None: a worker has it."""


@dataclass(slots=True)
class _Job:
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
    letters: dict[int, _Job] = field(default_factory=dict)


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


class MemoryLetterJobs:
    """See `warp.transport.base.LetterJobs` for the contract of `settle` and `fail`."""

    def __init__(self, broker: MemoryBroker, *, hook: Hook = passing) -> None:
        self._broker = broker
        self._hook = hook
        self._suspects: set[int] = set()

    def failed(self) -> dict[int, LetterJob]:
        """The failed jobs, as a person sees them."""
        return {number: job.letter for number, job in self._jobs.items() if job.state == "failed"}

    def requeue(self, number: int) -> None:
        """Press the button of a failed job."""
        self._hook("letters.requeue")
        self._jobs[number].state = "queued"

    def take(self) -> int | None:
        """The next letter that is to be replayed, as a worker takes it off its queue; None: there is none."""
        self._hook("letters.take")
        for number, job in self._jobs.items():
            if job.state == "queued":
                job.state, job.expires = "started", self._broker.clock() + 2 * REPLAY_SECONDS
                return number
        return None

    def finish(self, number: int, traceback: str | None) -> None:
        """Say what came of a replay that was taken; None: it succeeded."""
        self._hook("letters.finish")
        job = self._jobs.pop(number, None)
        if job is not None and traceback is not None:
            self._jobs[number] = _Job(job.letter._replace(traceback=traceback))

    def settle(self, schema: str, opened: Collection[int]) -> list[int]:
        self._hook("letters.settle")
        ours = {number: job for number, job in self._jobs.items() if job.letter.ref.schema == schema}
        lost = {
            number for number, job in ours.items() if job.state == "started" and job.expires <= self._broker.clock()
        }
        confirmed, self._suspects = lost & self._suspects, lost - self._suspects
        for number, job in ours.items():
            if number in confirmed or (job.state == "failed" and number not in opened):
                del self._jobs[number]
        return [number for number in opened if number not in self._jobs]

    def fail(self, jobs: Sequence[LetterJob]) -> int:
        self._hook("letters.fail")
        new = [letter for letter in jobs if letter.number not in self._jobs]
        self._jobs.update((letter.number, _Job(letter)) for letter in new)
        return len(new)

    @property
    def _jobs(self) -> dict[int, _Job]:
        return self._broker.state.letters


def _log(partition: Partition) -> _Log:
    return partition.schema, partition.table, partition.number
