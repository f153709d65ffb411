"""Random runs of the real tailers, workers and scheduler: whatever befalls them, rows equal documents in the end.

Meanwhile no row goes back in time and no checkpoint passes a change that is not applied. A run that fails is run again,
call for call, by its seed: `pytest tests/simulation -k 'everything and 42'`.
"""

import random
from dataclasses import replace

import pytest

from tests.simulation.weather import weather
from tests.simulation.world import World


@pytest.mark.parametrize("seed", range(200))
def test_whatever_befalls_them_everything_is_right_in_the_end(seed: int) -> None:
    world = World(seed)
    assert world.run() == [], f"seed {seed}, {world.weather}"


@pytest.mark.parametrize("seed", range(25))
def test_partitions_change_while_a_tailer_still_routes_by_the_old_number(seed: int) -> None:
    chosen = replace(weather(random.Random(seed)), repartitioned=True, turns=160)
    assert World(seed, chosen).run() == [], f"seed {seed}, {chosen}"


def test_a_seed_gives_the_same_run_again() -> None:
    for seed in range(5):
        runs = [World(seed), World(seed)]
        assert [world.run() for world in runs] == [[], []]
        assert runs[0].trace == runs[1].trace != World(seed + 1).trace
