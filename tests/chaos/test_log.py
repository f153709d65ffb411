"""The fault log and its sums."""

from __future__ import annotations

from itertools import islice

from tests.chaos.drawing import draw
from tests.chaos.faults import FAULTS
from tests.chaos.log import Entry, Recovery, recoveries


def test_recoveries_by_kind_from_the_end_and_from_the_beginning() -> None:
    times: dict[str, list[tuple[float, float | None]]] = {
        "redis-flush": [(0.0, 1.0), (0.5, 4.0), (0.0, 2.0)],
        "kill-worker": [(1.0, 5.0), (1.0, None)],
    }
    log = [
        Entry(drawn, at=1.0, target="it", lasted=lasted, recovery=recovery)
        for kind, pairs in times.items()
        for drawn, (lasted, recovery) in zip(islice(draw(1, [FAULTS[kind]]), len(pairs)), pairs, strict=True)
    ]
    assert recoveries(log) == [
        Recovery("kill-worker", 1, 5.0, 5.0, 6.0, 6.0),
        Recovery("redis-flush", 3, 2.0, 4.0, 2.0, 4.5),
    ]
    assert "NOT RECOVERED" in str(log[-1])
    assert "recovered in 1.0 s" in str(log[0])
