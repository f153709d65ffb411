"""Which faults come, in which order and with which parameters: a pure function of the seed and the kinds."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.chaos.faults.fault import Fault

_LULL_SECONDS = (0.0, 1.5)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One fault to come."""

    number: int
    """From 1 on."""
    fault: Fault
    parameters: dict[str, Any]
    lull: float
    """Seconds of peace before it."""

    def __str__(self) -> str:
        return " ".join([self.fault.name, *(f"{name}={value}" for name, value in self.parameters.items())])


def draw(seed: int, kinds: Collection[Fault]) -> Iterator[Drawn]:
    """Faults without end: rounds of all kinds, each in an order of its own, so that all get their share."""
    rng = random.Random(f"{seed}:faults")
    numbers = count(1)
    while True:
        order = sorted(kinds, key=lambda fault: fault.name)
        rng.shuffle(order)
        for fault in order:
            parameters = {name: drawn(rng) for name, drawn in fault.parameters.items()}
            yield Drawn(next(numbers), fault, parameters, round(rng.uniform(*_LULL_SECONDS), 1))
