"""A short run of the harness: as many kinds of faults as fit, of those that are short themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.faults import FAULTS
from tests.chaos.report import show
from tests.chaos.run import Options, Run
from warp.errors import EmbeddedUnavailable

_SHORT = (
    "kill-worker",
    "kill-scheduler",
    "redis-kill",
    "redis-empty",
    "redis-flush",
    "redis-lose-last",
    "redis-full",
    "redis-cut",
    "postgresql-crash",
    "postgresql-terminate",
    "postgresql-timeout",
    "postgresql-cut",
    "mongodb-step-down",
    "mongodb-kill",
    "mongodb-cut",
    "scale-workers",
    "repartition",
)


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_and_nothing_goes_back(seed: int, tmp_path: Path) -> None:
    options = Options(seed=seed, faults=[FAULTS[name] for name in _SHORT], seconds=30, changes_per_second=400)
    try:
        outcome = Run(options, tmp_path, print)()
    except EmbeddedUnavailable as error:
        pytest.skip(f"the servers cannot be started here: {error}")
    show(Console(), outcome, f"pytest {__file__} (seed {seed})")
    assert outcome.failures == []
    assert outcome.log
    assert min(outcome.facts["changes"], outcome.facts["rows seen"], outcome.facts["documents seen to go"]) > 0
