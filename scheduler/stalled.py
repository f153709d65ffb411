"""Steps whose worker stands still in the middle of them: ended, so that others get at its partition or chunk."""

from __future__ import annotations

import time
from collections.abc import Callable

from warp.destinations.base import Destination
from warp.monitoring.logging import get_logger

LOOK_SECONDS = 3.0
STALLED_SECONDS = 10.0
"""Sending the rows of a step takes well under a second. Elsewhere in a step PostgreSQL itself waits this long."""


class Stalled:
    """Looks for them from time to time. `tick` is harmless however often, and by however many, it is called."""

    def __init__(self, destination: Destination, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds, only ever growing."""
        self._destination = destination
        self._clock = clock
        self._next_look = 0.0
        self._log = get_logger(__name__)

    def tick(self) -> int:
        """One round, if it is time for one; returns how many steps were ended."""
        if self._clock() < self._next_look:
            return 0
        self._next_look = self._clock() + LOOK_SECONDS
        ended = self._destination.end_stalled(STALLED_SECONDS)
        if ended:
            self._log.warning("a worker stands still within a step: the step is ended", steps=ended)
        return ended
