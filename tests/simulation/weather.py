"""What kind of run it is: what befalls the actors, and how often."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What kind of run it is."""

    loaded: bool
    """Whether there are documents before the stream begins."""
    updates: bool
    """Whether changes come that do not carry their document."""
    repartitioned: bool
    soft: bool
    poison: bool
    faults: float
    """How likely a call is to fail."""
    pauses: float
    """How likely an actor is to stand still at a call, and a tenth as likely to die there."""
    slow_loads: bool
    """Whether a worker often stands still between reading documents and writing them."""
    turns: int


def weather(rng: random.Random) -> Weather:
    """Any kind of run."""
    return Weather(
        loaded=rng.random() < 0.75,
        updates=rng.random() < 0.75,
        repartitioned=rng.random() < 0.25,
        soft=rng.random() < 0.25,
        poison=rng.random() < 0.25,
        faults=rng.choice((0.0, 0.0, 0.01, 0.05)),
        pauses=rng.choice((0.0, 0.01, 0.05)),
        slow_loads=rng.random() < 0.3,
        turns=rng.randint(40, 200),
    )
