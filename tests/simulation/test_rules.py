"""Each rule of the protocol is needed: without it, some run ends wrong. So the simulation can fail."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import Failure
from tests.simulation.rules import RULES, Rule
from tests.simulation.world import World

SEEDS = 400
"""Runs in which the difference must be found."""


def _first_wrong(rule: Rule) -> int:
    """The first seed whose run goes wrong."""
    for seed in range(SEEDS):
        if wrongs := World(seed, rule.forecast(seed)).run():
            assert not any("crashed" in wrong for wrong in wrongs), "that is a defect of the patch"
            return seed
    pytest.fail(f"{SEEDS} runs are right although {rule.leave_out.__doc__}")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_without_the_rule_a_run_ends_wrong_that_ends_right_with_it(rule: Rule) -> None:
    with pytest.MonkeyPatch.context() as patch:
        rule.leave_out(patch)
        seed = _first_wrong(rule)
    assert World(seed, rule.forecast(seed)).run() == []


def test_a_failure_says_how_to_see_it_again() -> None:
    told = str(Failure("letters", 42, ["it never came to rest"]))
    assert "it never came to rest" in told
    assert "python -m tests.simulation --kind letters --seed 42 --trace" in told
