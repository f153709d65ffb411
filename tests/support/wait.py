"""Waiting for a condition instead of for a while: the only place where tests let time pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 60.0
"""Generous: it is only ever waited for when something is broken, or the machine is busy."""
_POLL_SECONDS = 0.02


def eventually(condition: Callable[[], T], deadline: float = DEADLINE_SECONDS, *, what: str = "") -> T:
    """Call `condition` until what it returns is true, and return that; AssertionError after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what or 'the condition'} did not come true within {deadline:.0f} s: {result!r}")
        time.sleep(_POLL_SECONDS)
    return result
