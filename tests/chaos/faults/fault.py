"""What a kind of fault is, and how its parameters are drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Draw = Callable[[random.Random], Any]

RECOVERY_SECONDS = 60.0
"""Of most faults."""
KILLED_SECONDS = 30.0
"""Of a process that is killed, and started again by its supervisor: nothing but the process was away."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind. `inject(rig, **parameters)` does it and undoes it, and returns what it was done to.

    The fault lasts from the call to the return: then nothing is broken but by its consequences.
    """

    name: str
    inject: Callable[..., str]
    parameters: Mapping[str, Draw]
    """How each is drawn."""
    replica_set: bool = False
    """Whether it takes several members of MongoDB."""
    limit: float = RECOVERY_SECONDS
    """Seconds from its beginning until all that was written by its end must be visible."""


def seconds(least: float, most: float) -> Draw:
    """A duration, in tenths."""
    return lambda rng: round(rng.uniform(least, most), 1)


def one_of(*values: Any) -> Draw:
    """Any of them."""
    return lambda rng: rng.choice(values)


def which(rng: random.Random) -> int:
    """A place among things whose number is not known before: see `pick`."""
    return rng.randrange(1_000)


def pick(things: Sequence[T], place: int) -> T:
    """The thing at a place drawn by `which`."""
    return things[place % len(things)]
