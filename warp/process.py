"""The shell around a loop: it ends in order on SIGTERM and SIGINT, and in time, and collects garbage in between."""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from warp.monitoring.logging import get_logger

END_SECONDS = 7.0
"""How long a process that is told to end has for its step; its supervisor waits a little longer, and less than 10 s."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


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

    def install(self, *, within: float = END_SECONDS, status: int = 0) -> Stop:
        """Take SIGTERM and SIGINT; a second SIGINT ends the process at once. It ends as `end_in_time` says."""
        for each in _SIGNALS:
            signal.signal(each, self._on_signal)
        end_in_time(within, status)
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


def end_in_time(within: float = END_SECONDS, status: int = 0) -> None:
    """From the first SIGTERM or SIGINT on the process has `within` seconds; then it is ended with the code `status`.

    Drivers wait longer than that for a server that does not answer, and a step can be given up at any moment. To be
    called in the main thread; what else the signals do is up to their handlers.
    """
    # Woken by the signal itself: Python's handlers wait while the main thread is within a library that does not return.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_give_up, args=(reader, within, status), name="end-in-time", daemon=True).start()


def _give_up(reader: int, seconds: float, status: int) -> NoReturn:
    while os.read(reader, 1)[0] not in _SIGNALS:
        pass
    time.sleep(seconds)
    try:
        get_logger(__name__).warning(
            "the step under way is given up: nothing is lost, it will be done again", seconds=seconds
        )
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


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
