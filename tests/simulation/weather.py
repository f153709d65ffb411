"""What kind of run it is: what befalls whom, and how often. A seed and a kind say it all."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from warp.destinations.base import OnDrop


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What kind of run it is. Rates are likelihoods, of a call or of a turn."""

    turns: int
    loaded: bool
    """Whether there are documents before the stream begins."""
    updates: bool
    """Whether changes come that do not carry their document."""
    soft: bool
    """Whether deletes mark rows."""
    on_drop: OnDrop
    slow_loads: bool
    """Whether a worker often stands still between reading documents and writing them."""
    pauses: float
    """An actor stands still at a call; a tenth as often it dies there."""
    faults: float
    """A call fails, or its answer is lost."""
    outages: float
    """A server goes away for a while in a turn, or a backend of PostgreSQL for ever."""
    redis: float
    """Redis loses everything in a turn, or comes back with an older state."""
    streams: float
    """All streams are cut in a turn."""
    repartitioned: float
    """A table is given another number of partitions in a turn."""
    refused: float
    """A resume token is refused: the stream begins at its time instead."""
    poison: float
    """A document cannot be stored from a turn on, or can be again."""
    upheavals: float
    """A change at the source drops or renames a table."""
    losses: float
    """The source throws its history away in a turn."""
    breakage: float
    """Nothing can be applied to a table from a turn on, until a person mends it."""
    behind: float
    """Whoever answers a read, or says what time it is, has not heard of the newest changes."""


_KINDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "any": {},
        "calm": {"pauses": 0.0, "faults": 0.0, "outages": 0.0, "redis": 0.0},
        "loads": {"loaded": True, "slow_loads": True, "updates": True, "pauses": 0.02},
        "repartitioned": {"repartitioned": 0.05, "turns": 160},
        "letters": {"poison": 0.08, "pauses": 0.02},
        "upheavals": {"upheavals": 0.1, "loaded": True},
        "losses": {"losses": 0.02, "loaded": True, "turns": 160},
        "breakage": {"breakage": 0.02},
        "storm": {
            "turns": 150,
            "loaded": True,
            "pauses": 0.03,
            "redis": 0.03,
            "repartitioned": 0.03,
            "poison": 0.05,
            "upheavals": 0.1,
            "losses": 0.02,
            "breakage": 0.04,
        },
        "outages": {"outages": 0.05, "faults": 0.02},
    }
)
KINDS = tuple(_KINDS)
"""Runs that have much of something; `any` has anything."""


def forecast(seed: int, kind: str = "any", **changed: Any) -> Weather:
    """The weather of a run; `changed` fields are as given."""
    rng = random.Random(f"{seed} {kind}")
    drawn = Weather(
        turns=rng.randint(40, 160),
        loaded=rng.random() < 0.75,
        updates=rng.random() < 0.75,
        soft=rng.random() < 0.25,
        on_drop=rng.choice(list(OnDrop)),
        slow_loads=rng.random() < 0.3,
        pauses=rng.choice((0.0, 0.01, 0.05)),
        faults=rng.choice((0.0, 0.0, 0.01, 0.05)),
        outages=rng.choice((0.0, 0.0, 0.0, 0.02)),
        redis=rng.choice((0.0, 0.02, 0.06)),
        streams=rng.choice((0.0, 0.01)),
        repartitioned=rng.choice((0.0, 0.0, 0.0, 0.04)),
        refused=rng.choice((0.0, 0.0, 0.3)),
        poison=rng.choice((0.0, 0.0, 0.0, 0.05)),
        upheavals=rng.choice((0.0, 0.0, 0.0, 0.05)),
        losses=rng.choice((0.0, 0.0, 0.0, 0.0, 0.01)),
        breakage=rng.choice((0.0, 0.0, 0.0, 0.0, 0.01)),
        behind=rng.choice((0.0, 0.2, 0.5)),
    )
    return replace(drawn, **{**_KINDS[kind], **changed})


def described(weather: Weather) -> str:
    """What there is in it, in one line."""
    held = {field.name: getattr(weather, field.name) for field in fields(weather)}
    return " ".join(name if value is True else f"{name}={value}" for name, value in held.items() if value)
