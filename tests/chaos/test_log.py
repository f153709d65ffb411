"""The fault log and its sums."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.chaos.drawing import draw
from tests.chaos.faults import FAULTS
from tests.chaos.log import Entry, Recovery, recoveries
from tests.chaos.run import Outcome


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


@pytest.mark.parametrize(
    ("kind", "lasted", "recovery", "fails"),
    [
        ("kill-tailer", 1.0, 29.0, False),
        ("kill-tailer", 1.0, 29.1, True),
        ("kill-worker", 0.0, 31.0, True),
        ("kill-scheduler", 0.0, 31.0, True),
        ("freeze-tailer", 12.0, 48.0, False),
        ("freeze-tailer", 12.0, 48.1, True),
        ("redis-flush", 0.0, None, True),
    ],
)
def test_a_recovery_that_takes_too_long_from_the_beginning_fails_the_run(
    kind: str, lasted: float, recovery: float | None, fails: bool
) -> None:
    [drawn] = islice(draw(1, [FAULTS[kind]]), 1)
    outcome = Outcome()
    outcome.add(Entry(drawn, at=1.0, target="it", lasted=lasted, recovery=recovery))
    assert len(outcome.log) == 1
    assert bool(outcome.failures) == fails
    assert all(kind in failure for failure in outcome.failures)


def test_only_what_kills_one_of_our_processes_has_the_short_limit() -> None:
    assert {name: fault.limit for name, fault in FAULTS.items() if fault.limit != 60} == {
        "kill-tailer": 30,
        "kill-worker": 30,
        "kill-scheduler": 30,
    }
