"""What happened in a run, call by call: a checksum of it, and all of it in words where somebody wants to read it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tests.simulation.calls import Call
from tests.simulation.interleaving import Actor

_MASK = 0xFFFFFFFF


class Trace:
    """Two runs with the same checksum are the same run."""

    def __init__(self, tell: Callable[[str], object] | None = None) -> None:
        """`tell` is given each line; None: nobody reads them."""
        self.checksum = 0
        self.calls = 0
        self._tell = tell

    def call(self, actor: Actor, call: Call) -> None:
        """An actor calls a part."""
        self.calls += 1
        self.checksum = (self.checksum * 31 + call.code + actor.number) & _MASK
        if self._tell is not None:
            self._tell(f"{self.calls:6} {actor.name:10} {call.name}")

    def note(self, text: str) -> None:
        """Something happened that is no call."""
        self.checksum = zlib.crc32(text.encode(), self.checksum)
        if self._tell is not None:
            self._tell(f"{self.calls:6} * {text}")
