"""What one wake-up has done: a partition drained for a while, or a chunk loaded, under its lease.

A hot partition is put back after its time, so that it cannot starve the others. Whatever goes wrong is answered as
`warp.retry` says: the log keeps its entries, the lease runs out, and the reconcile loop wakes somebody again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from structlog.contextvars import bound_contextvars

from warp.errors import WarpError
from warp.metadata.base import Metadata
from warp.monitoring.failures import Failures
from warp.process import Stop
from warp.retry import LONGEST_SECONDS, MENDED_SECONDS, Response, backoff, response, stops_table
from warp.traces import defect, trace
from warp.transport.base import Logs, Wakeup, Wakeups
from workers.apply import Applier, Outcome
from workers.snapshot import Loader

TURN_SECONDS = 2.0
"""How long a partition is drained before others get their turn."""
BUSY_SECONDS = 1.0
"""Until a partition is looked at again that another worker has: one that lives renews its lease before."""
LOAD_TURN_SECONDS = 0.5
"""How long a chunk is loaded before it is put back: the stream must not stand still during a first load."""
PATIENCE_SECONDS = 2.0
"""How long a worker stays with what fails, before it serves others and leaves it to a later wake-up."""


class WorkFailed(Exception):
    """A defect: its message is a traceback without document values, which RQ may show and log."""


class Drain:
    """Does what wake-ups say. For one thread."""

    def __init__(
        self,
        applier: Applier,
        loader: Loader,
        logs: Logs,
        wakeups: Wakeups,
        metadata: Metadata,
        *,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` in seconds, only ever growing."""
        self._applier = applier
        self._loader = loader
        self._logs = logs
        self._wakeups = wakeups
        self._failures = Failures(metadata)
        self._stop = stop
        self._clock = clock

    def apply(self, wakeup: Wakeup, correlation_id: str) -> None:
        """Drain a partition until its log is empty, its turn is over, or somebody else is at it."""
        self._guarded(wakeup, correlation_id, self._apply)

    def load(self, wakeup: Wakeup, correlation_id: str) -> None:
        """Load a chunk, as far as there is time before a stop."""
        self._guarded(wakeup, correlation_id, self._load)

    def _apply(self, wakeup: Wakeup, correlation_id: str) -> None:
        turn_ends = self._clock() + TURN_SECONDS
        while True:
            self._wakeups.renew(wakeup)
            match self._applier.step(wakeup.partition):
                case Outcome.BUSY:
                    self._wakeups.postpone(wakeup, BUSY_SECONDS)
                    return
                case Outcome.EMPTY:
                    self._wakeups.release(wakeup)
                    # A wake-up that came between the look and the release found the lease taken.
                    if not self._logs.read(wakeup.partition, None, 1) or not self._wakeups.claim(wakeup):
                        return
                case Outcome.APPLIED:
                    if self._stop.is_set() or self._clock() >= turn_ends:
                        self._wakeups.requeue(wakeup, correlation_id)
                        return

    def _load(self, wakeup: Wakeup, correlation_id: str) -> None:
        turn_ends = self._clock() + LOAD_TURN_SECONDS

        def going_on() -> bool:
            self._wakeups.renew(wakeup)
            return not self._stop.is_set() and self._clock() < turn_ends

        self._wakeups.renew(wakeup)
        if self._loader.load(wakeup.ref, wakeup.number, correlation_id, going_on=going_on):
            self._wakeups.release(wakeup)
        else:
            self._wakeups.requeue(wakeup, correlation_id)

    def _guarded(self, wakeup: Wakeup, correlation_id: str, work: Callable[[Wakeup, str], None]) -> None:
        with bound_contextvars(correlation_id=correlation_id, work=wakeup.name):
            patience_ends = self._clock() + PATIENCE_SECONDS
            for seconds in backoff():
                try:
                    work(wakeup, correlation_id)
                    return
                except WarpError as error:
                    failure = error
                except Exception as error:
                    self._give_up(wakeup, correlation_id, defect(error))
                    raise WorkFailed(trace(error)) from None
                if response(failure) is not Response.WAIT:
                    self._give_up(wakeup, correlation_id, failure)
                    return
                self._failures.note(failure, *wakeup.ref, correlation_id)
                if self._clock() + seconds > patience_ends:
                    self._leave(wakeup, LONGEST_SECONDS)
                    return
                if self._stop.wait(seconds):
                    return

    def _give_up(self, wakeup: Wakeup, correlation_id: str, error: WarpError) -> None:
        """A person must act, or another process can; poison comes here where no document could be told to be it."""
        if stops_table(error):
            self._failures.block(wakeup.ref, error)
        self._failures.note(error, *wakeup.ref, correlation_id)
        self._leave(wakeup, MENDED_SECONDS)

    def _leave(self, wakeup: Wakeup, seconds: float) -> None:
        """Let nobody be woken for it for a while."""
        with suppress(WarpError):  # the lease runs out sooner, by itself
            self._wakeups.postpone(wakeup, seconds)
