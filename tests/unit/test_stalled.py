"""When steps that stand still are looked for."""

from __future__ import annotations

import pytest

from scheduler.stalled import LOOK_SECONDS, STALLED_SECONDS, Stalled
from warp.testing import MemoryDestination


class _Destination(MemoryDestination):
    """One with a step that has stood still for a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def end_stalled(self, seconds: float) -> int:
        self.asked.append(seconds)
        return 1


def test_they_are_ended_and_said_and_not_looked_for_all_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    destination = _Destination()
    stalled = Stalled(destination, clock=lambda: now)
    assert [stalled.tick() for _ in range(3)] == [1, 0, 0]
    now += LOOK_SECONDS
    assert stalled.tick() == 1
    assert destination.asked == [STALLED_SECONDS] * 2
    assert capsys.readouterr().out.count("stands still") == 2
