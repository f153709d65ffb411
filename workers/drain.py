"""What one wake-up has done: a partition drained for a while, or a chunk loaded, under its lease.

A hot partition is put back after its time, so that it cannot starve the others. Whatever goes wrong, the log keeps its
entries and the lease runs out: the reconcile loop wakes somebody again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

from structlog.contextvars import bound_contextvars

from warp.errors import Fatal, Poison, ServerUnreachable, Transient
from warp.metadata.base import Metadata
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.process import Stop
from warp.retry import backoff
from warp.transport.base import Logs, Wakeup, Wakeups
from workers.apply import Applier, Outcome
from workers.snapshot import Loader

TURN_SECONDS = 2.0
"""How long a partition is drained before others get their turn."""
LOAD_TURN_SECONDS = 0.5
"""How long a chunk is loaded before it is put back: the stream must not stand still during a first load."""
ATTEMPTS = 6
"""Attempts before the work is left to a later wake-up, about ten seconds apart in all."""


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
        self._metadata = metadata
        self._stop = stop
        self._clock = clock
        self._log = get_logger(__name__)

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
        """Try again while it can help; otherwise leave it to a later wake-up, with the reason kept."""
        with bound_contextvars(correlation_id=correlation_id):
            for seconds in islice(backoff(), ATTEMPTS):
                try:
                    work(wakeup, correlation_id)
                    return
                except (Transient, ServerUnreachable) as error:
                    metrics.ERRORS.labels(wakeup.ref.schema, type(error).__name__).inc()
                    self._log.warning("will be tried again", work=wakeup.name, reason=str(error))
                    if self._stop.wait(seconds):
                        return
                except (Fatal, Poison) as error:
                    metrics.ERRORS.labels(wakeup.ref.schema, type(error).__name__).inc()
                    self._log.error("cannot go on", work=wakeup.name, reason=str(error), remedy=error.remedy)
                    self._metadata.log_error(wakeup.ref.schema, wakeup.ref.table, error, error.remedy, correlation_id)
                    return
