"""Short runs of the harness: a minute of faults each, of all kinds."""

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

SECONDS = 60.0
LEAST = 5
"""Faults of each run, on a machine that is busy with other things."""
SEEDS = {
    26678: ("mongodb-step-down", "kill-tailer", "freeze-scheduler", "redis-cut", "second-tailer"),
    9085: ("mongodb-stall", "postgresql-lock", "redis-flush", "source-drop", "source-rename"),
}
"""Chosen, where the faults are drawn from all kinds, for what the first LEAST of them are."""


def test_the_seeds_give_different_kinds() -> None:
    """Where a new kind has changed what they give, others must be chosen."""
    for seed, names in SEEDS.items():
        assert tuple(drawn.fault.name for drawn in islice(draw(seed, FAULTS.values()), LEAST)) == names
    assert len({name for names in SEEDS.values() for name in names}) == LEAST * len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_goes_back(seed: int, tmp_path: Path) -> None:
    options = Options(seed=seed, faults=list(FAULTS.values()), seconds=SECONDS, changes_per_second=400)
    try:
        outcome = Run(options, tmp_path, print)()
    except EmbeddedUnavailable as error:
        pytest.skip(f"the servers cannot be started here: {error}")
    show(Console(), outcome, f"pytest {__file__} (seed {seed})")
    assert outcome.failures == []
    assert len(outcome.log) >= LEAST
    assert min(outcome.facts["changes"], outcome.facts["rows seen"], outcome.facts["documents seen to go"]) > 0
