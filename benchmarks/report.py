"""What was measured, as tables to read and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measures import Rate, Results, Size, What

_FLOORS = (What.STREAM_FLOOR, What.UPSERT_FLOOR)
_OURS = frozenset({What.LOADED, What.DRAINED, What.LIVE})
_WIDTH = 120
"""Columns at least: a table that is cut says nothing."""
_MEGABYTE = 1_000_000


def as_json(size: Size, results: Results) -> dict[str, Any]:
    """Everything that was measured; times in seconds, memory in bytes."""
    return {
        "size": asdict(size),
        "rates": [
            {
                "part": rate.part,
                "what": rate.what.value,
                "items": rate.items,
                "seconds": round(rate.seconds, 3),
                "per_second": round(rate.per_second),
                "of_stream_floor": _share(results, rate, What.STREAM_FLOOR),
                "of_upsert_floor": _share(results, rate, What.UPSERT_FLOOR),
                "other_load": round(rate.others, 2),
                "cpu_seconds_per_million": {name: round(value, 2) for name, value in rate.cpu_per_million.items()},
            }
            for rate in results.rates
        ],
        "changes_per_row_written": {part: round(value, 3) for part, value in results.coalescing.items()},
        "latency": asdict(results.latency) if results.latency else None,
        "peak_memory": results.peak_memory,
    }


def show(size: Size, results: Results) -> None:
    """Print tables. Other load is in cores that were busy with something else on this machine."""
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(f"workers: {size.workers}, partitions: {size.partitions}")
    if results.rates:
        console.print(_speed(results), _cpu(results))
    for part, factor in results.coalescing.items():
        console.print(f"{part}: {factor:.2f} changes for each row written")
    if latency := results.latency:
        console.print(
            f"commit to visible row, {latency.changes:,} inserts: p50 {latency.p50 * 1000:.1f} ms, "
            f"p99 {latency.p99 * 1000:.1f} ms, worst {latency.worst * 1000:.1f} ms"
        )
    if results.peak_memory:
        peaks = ", ".join(f"{name} {peak / _MEGABYTE:.0f} MB" for name, peak in results.peak_memory.items())
        console.print(f"peak memory, {size.backlog:,} changes drained: {peaks}")


def _speed(results: Results) -> Table:
    table = _table(
        "Throughput", "part", "", "changes", "seconds", "changes/s", "of stream floor", "of upsert floor", "other load"
    )
    for rate in results.rates:
        shares = (_share(results, rate, floor) for floor in _FLOORS)
        table.add_row(
            rate.part,
            rate.what.value,
            f"{rate.items:,}",
            f"{rate.seconds:.2f}",
            f"{rate.per_second:,.0f}",
            *("" if share is None else f"{share:.2f}" for share in shares),
            f"{rate.others:.2f}" if rate.cpu else "",
        )
    return table


def _cpu(results: Results) -> Table:
    processes = list(dict.fromkeys(name for rate in results.rates for name in rate.cpu))
    table = _table("CPU seconds per million changes", "part", "", *processes, "all")
    for rate in results.rates:
        if used := rate.cpu_per_million:
            cells = (f"{used[name]:.1f}" if name in used else "" for name in processes)
            table.add_row(rate.part, rate.what.value, *cells, f"{sum(used.values()):.1f}")
    return table


def _table(title: str, *columns: str) -> Table:
    """A table whose first two columns are words, and the others numbers."""
    table = Table(title=title, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 2 else "right", no_wrap=True)
    return table


def _share(results: Results, rate: Rate, what: What) -> float | None:
    """A rate as a share of a floor of its part."""
    floor = results.floor(rate.part, what) if rate.what in _OURS else None
    return round(rate.per_second / floor.per_second, 3) if floor else None
