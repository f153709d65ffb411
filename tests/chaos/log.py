"""The fault log: what was done when, to what, and how long the mirror took to recover; and the sums of it by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from tests.chaos.drawing import Drawn


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault that was."""

    drawn: Drawn
    at: float
    """Seconds since faults began to come."""
    target: str
    lasted: float
    """Seconds from its beginning to its end."""
    recovery: float | None
    """Seconds from its end until all that was written then was visible; None where nobody waited any longer."""

    @property
    def failure(self) -> str | None:
        """What is wrong with the recovery, if anything is."""
        limit = self.drawn.fault.limit
        if self.recovery is not None and self.lasted + self.recovery <= limit:
            return None
        return f"not recovered {limit:.0f} s after its beginning: {self}"

    def __str__(self) -> str:
        recovery = "NOT RECOVERED" if self.recovery is None else f"recovered in {self.recovery:.1f} s"
        return f"{self.drawn.number:5} {self.at:7.1f} s  {self.drawn} → {self.target}; {self.lasted:.1f} s; {recovery}"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery from one kind of fault took, in seconds."""

    kind: str
    faults: int
    median_from_end: float
    worst_from_end: float
    median_from_begin: float
    worst_from_begin: float


def recoveries(log: Iterable[Entry]) -> list[Recovery]:
    """By kind, of the faults that the mirror recovered from."""
    by_kind: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for entry in log:
        if entry.recovery is not None:
            by_kind[entry.drawn.fault.name].append((entry.recovery, entry.lasted + entry.recovery))
    return [_recovery(kind, times) for kind, times in sorted(by_kind.items())]


def _recovery(kind: str, times: list[tuple[float, float]]) -> Recovery:
    from_end, from_begin = zip(*times, strict=True)
    return Recovery(kind, len(times), median(from_end), max(from_end), median(from_begin), max(from_begin))
