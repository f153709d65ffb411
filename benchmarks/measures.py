"""What a run measures, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and with how many."""

    documents: int
    changes: int
    backlog: int
    workers: int
    partitions: int


class What(StrEnum):
    """What a rate is the rate of."""

    LOADED = "loaded"
    DRAINED = "drained"
    """A backlog, by a fleet that starts when it is there."""
    LIVE = "live"
    """Changes that a writer makes at the same time, on the same machine."""
    WRITER = "the writer alone"
    STREAM_FLOOR = "floor: stream"
    """The change stream, read and thrown away."""
    UPSERT_FLOOR = "floor: upsert"
    """The same rows, encoded beforehand, by COPY and upsert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many documents or changes in so many seconds, with the CPU seconds of each process meanwhile."""

    part: str
    what: What
    items: int
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    others: float = 0.0
    """Cores that were busy with what is not measured: where there were many, the rate says little."""

    @property
    def per_second(self) -> float:
        """Documents or changes in a second."""
        return self.items / self.seconds

    @property
    def cpu_per_million(self) -> dict[str, float]:
        """CPU seconds for a million documents or changes, by process."""
        return {name: seconds / self.items * _MILLION for name, seconds in self.cpu.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From the commit in MongoDB to the row that another session of PostgreSQL sees, in seconds."""

    changes: int
    p50: float
    p99: float
    worst: float


@dataclass(slots=True)
class Results:
    """Everything that was measured so far."""

    rates: list[Rate] = field(default_factory=list)
    coalescing: dict[str, float] = field(default_factory=dict)
    """Changes for each row that was written, by part."""
    latency: Latency | None = None
    peak_memory: dict[str, int] = field(default_factory=dict)
    """The most bytes that each process of the fleet had resident while the backlog was drained."""

    def floor(self, part: str, what: What) -> Rate | None:
        """A floor of a part, if it was measured."""
        return next((rate for rate in self.rates if rate.part == part and rate.what is what), None)
