"""Random runs of the real tailers, workers and scheduler: whatever befalls them, rows equal documents in the end.

Meanwhile no row goes back in time and no checkpoint passes a change that is not applied. A run that fails is told with
its seed, and how to see it again, call for call.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.simulation.campaign import failures
from tests.simulation.weather import KINDS, forecast
from tests.simulation.world import World

SEEDS_PER_TEST = 25
ANY_SEEDS = 800
KIND_SEEDS = 30


def _hold(kind: str, seeds: range) -> None:
    failed = failures(kind, seeds)
    assert not failed, "\n".join(map(str, failed))


@pytest.mark.parametrize("first", range(0, ANY_SEEDS, SEEDS_PER_TEST))
def test_whatever_befalls_them_everything_is_right_in_the_end(first: int) -> None:
    _hold("any", range(first, first + SEEDS_PER_TEST))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "any"])
def test_everything_is_right_where_there_is_much_of_something(kind: str) -> None:
    _hold(kind, range(KIND_SEEDS))


def test_a_seed_gives_the_same_run_again() -> None:
    for seed in range(5):
        runs = [World(seed), World(seed)]
        assert [world.run() for world in runs] == [[], []]
        assert runs[0].trace.checksum == runs[1].trace.checksum != World(seed + 1).trace.checksum


def test_a_seed_gives_the_same_run_in_another_process() -> None:
    """Also where strings hash otherwise, so that sets are in another order."""
    world = World(3, forecast(3, "repartitioned"))
    world.run()
    again = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--kind", "repartitioned", "--seed", "3"],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"checksum (\w+)", again.stdout) == [f"{world.trace.checksum:08x}"]
