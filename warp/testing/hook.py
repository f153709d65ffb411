"""Where a test steps in: every call of an in-memory part passes its hook before it takes effect."""

from __future__ import annotations

from collections.abc import Callable

Hook = Callable[[str], None]
"""Called with `part.call` ("logs.append") before the call takes effect, and with "destination.committed" and
"logs.appended" after. It may raise what the real part would raise, or let other actors run meanwhile."""


def passing(_: str) -> None:
    """The hook that does nothing."""
