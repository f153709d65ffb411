"""The shell around a loop: it ends in order on SIGTERM and SIGINT, waits without missing them, and collects garbage."""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import time
from types import FrameType


class Stop:
    """Set when the process is to end. Installed in the main thread."""

    def __init__(self) -> None:
        # Not a threading.Event: a signal that comes while the main thread waits for one, and holds its lock for a
        # moment, would deadlock when its handler sets it. Writing to a pipe is safe wherever a handler runs.
        self._is_set = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def __del__(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def install(self) -> Stop:
        """Take SIGTERM and SIGINT; a second SIGINT ends the process at once."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        return self

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._is_set:
            raise KeyboardInterrupt
        self.set()

    def set(self) -> None:
        """Ask for the end."""
        if not self._is_set:
            self._is_set = True
            os.write(self._writer, b".")

    def is_set(self) -> bool:
        """Whether the process is to end."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until the process is to end; returns whether it is."""
        if not self._is_set:
            poll = select.poll()
            poll.register(self._reader, select.POLLIN)
            poll.poll(max(0, math.ceil(seconds * 1000)))
        return self._is_set


COLLECT_SECONDS = 1.0


class Collector:
    """Collects cyclic garbage between rounds instead of within them.

    A round makes many containers and frees nearly all of them by reference count; looking through them for cycles
    again and again costs a third of a worker's CPU (measured: docs/decisions.md).
    """

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        self._next = time.monotonic() + COLLECT_SECONDS

    def rest(self) -> None:
        """Between two rounds: collect, if that is due."""
        if time.monotonic() >= self._next:
            gc.collect()
            self._next = time.monotonic() + COLLECT_SECONDS
