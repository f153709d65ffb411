"""The shell around a loop: it ends in order on SIGTERM and SIGINT, waits without missing them, and collects garbage."""

from __future__ import annotations

import gc
import signal
import threading
import time
from types import FrameType


class Stop:
    """Set when the process is to end. Installed in the main thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def install(self) -> Stop:
        """Take SIGTERM and SIGINT; a second SIGINT ends the process at once."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        return self

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._event.is_set():
            raise KeyboardInterrupt
        self._event.set()

    def set(self) -> None:
        """Ask for the end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the process is to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until the process is to end; returns whether it is."""
        return self._event.wait(seconds)


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
