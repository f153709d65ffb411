"""What happened in a run, call by call: a checksum of it, and all of it in words where somebody wants to read it."""

from __future__ import annotations

import zlib
from collections.abc import Callable


class Trace:
    """Two runs with the same checksum are the same run."""

    def __init__(self, tell: Callable[[str], object] | None = None) -> None:
        """`tell` is given each line; None: nobody reads them."""
        self.checksum = 0
        self.calls = 0
        self._tell = tell

    def call(self, actor: str, call: str) -> None:
        """An actor calls a part."""
        self.calls += 1
        self.checksum = zlib.crc32(call.encode(), self.checksum + len(actor))
        if self._tell is not None:
            self._tell(f"{self.calls:6} {actor:10} {call}")

    def note(self, text: str) -> None:
        """Something happened that is no call."""
        self.checksum = zlib.crc32(text.encode(), self.checksum)
        if self._tell is not None:
            self._tell(f"{self.calls:6} * {text}")
