"""What was measured, as tables to read and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many documents or changes in so many seconds, with the CPU seconds of each process meanwhile."""

    part: str
    what: str
    items: int
    seconds: float
    cpu: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Documents or changes in a second."""
        return self.items / self.seconds

    @property
    def cpu_per_million(self) -> dict[str, float]:
        """CPU seconds for a million documents or changes, by process."""
        return {name: seconds / self.items * _MILLION for name, seconds in self.cpu.items()}


def as_json(rates: Sequence[Rate]) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "rates": [
            {
                "part": rate.part,
                "what": rate.what,
                "items": rate.items,
                "seconds": round(rate.seconds, 3),
                "per_second": round(rate.per_second),
                "cpu_seconds_per_million": {name: round(value, 2) for name, value in rate.cpu_per_million.items()},
            }
            for rate in rates
        ]
    }


def show(console: Console, rates: Sequence[Rate]) -> None:
    """Print tables."""
    processes = list(dict.fromkeys(name for rate in rates for name in rate.cpu))
    speed = Table("", "", "changes", "seconds", "changes/s", title="Throughput")
    cpu = Table("", "", *processes, "all", title="CPU seconds per million")
    for column in (*speed.columns[2:], *cpu.columns[2:]):
        column.justify = "right"
    for rate in rates:
        speed.add_row(rate.part, rate.what, f"{rate.items:,}", f"{rate.seconds:.2f}", f"{rate.per_second:,.0f}")
        if used := rate.cpu_per_million:
            cells = (f"{used[name]:.1f}" if name in used else "" for name in processes)
            cpu.add_row(rate.part, rate.what, *cells, f"{sum(used.values()):.1f}")
    console.print(speed, cpu)
