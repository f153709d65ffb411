"""Many runs: which seeds fail, and how. In one process, or in several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from typing import NamedTuple

from tests.simulation.conditions import simulated
from tests.simulation.weather import described, forecast
from tests.simulation.world import World

SEEDS_AT_ONCE = 50
"""What a process is given at a time."""


class Failure(NamedTuple):
    """A run that went wrong."""

    kind: str
    seed: int
    wrongs: list[str]

    def __str__(self) -> str:
        weather = described(forecast(self.seed, self.kind))
        again = f"python -m tests.simulation --kind {self.kind} --seed {self.seed} --trace"
        return "\n  ".join([f"seed {self.seed}: {weather}", *self.wrongs[:5], again])


def failures(kind: str, seeds: Iterable[int]) -> list[Failure]:
    """Run these seeds here; `simulated` must hold."""
    ran = ((seed, World(seed, forecast(seed, kind)).run()) for seed in seeds)
    return [Failure(kind, seed, wrongs) for seed, wrongs in ran if wrongs]


def campaign(kinds: Iterable[str], seeds: range, jobs: int) -> Iterator[tuple[int, list[Failure]]]:
    """Run seeds of all kinds in processes; yields how many runs were done, and which of them failed, as they come."""
    work = ((kind, seeds[at : at + SEEDS_AT_ONCE]) for at in range(0, len(seeds), SEEDS_AT_ONCE) for kind in kinds)
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(_failures, *share): len(share[1]) for share in islice(work, 2 * jobs)}
        while running:
            done = next(as_completed(running))
            yield running.pop(done), done.result()
            running.update((pool.submit(_failures, *share), len(share[1])) for share in islice(work, 1))


def _failures(kind: str, seeds: range) -> list[Failure]:
    with simulated():
        return failures(kind, seeds)
