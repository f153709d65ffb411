"""Short runs of the harness, of all kinds of faults: a minute of them, and half a minute of others."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.drawing import draw
from tests.chaos.faults import FAULTS
from tests.chaos.report import show
from tests.chaos.run import Options, Run
from warp.errors import EmbeddedUnavailable

SEEDS = {
    26678: (60.0, ("mongodb-step-down", "kill-tailer", "freeze-scheduler", "redis-cut", "second-tailer")),
    9085: (30.0, ("mongodb-stall", "postgresql-lock", "redis-flush")),
}
"""Seconds of faults, and the first of them, for which the seeds are chosen. So many come at least, also on a
machine that is busy with other things."""


def test_the_seeds_give_different_kinds() -> None:
    """Where a new kind has changed what they give, others must be chosen."""
    for seed, (_, names) in SEEDS.items():
        assert tuple(drawn.fault.name for drawn in islice(draw(seed, FAULTS.values()), len(names))) == names
    (_, some), (_, others) = SEEDS.values()
    assert len({*some, *others}) == len(some) + len(others)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_goes_back(seed: int, tmp_path: Path) -> None:
    seconds, names = SEEDS[seed]
    options = Options(seed=seed, faults=list(FAULTS.values()), seconds=seconds, changes_per_second=400)
    try:
        outcome = Run(options, tmp_path, print)()
    except EmbeddedUnavailable as error:
        pytest.skip(f"the servers cannot be started here: {error}")
    show(Console(), outcome, f"pytest {__file__} (seed {seed})")
    assert outcome.failures == []
    assert len(outcome.log) >= len(names)
    assert min(outcome.facts["changes"], outcome.facts["rows seen"], outcome.facts["documents seen to go"]) > 0
