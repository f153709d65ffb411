"""What came of a demonstration, in figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from warp.demo.probe import percentile
from warp.verify import TableResult

_MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures."""

    loaded: int
    """Documents of the first load."""
    load_seconds: float
    written: Mapping[str, int]
    """What the writer did, by kind of change."""
    applied: int
    """Changes applied, in all."""
    streamed: int
    """Changes applied from when the first load had been caught up with."""
    stream_seconds: float
    """From then until everything was applied."""
    samples: Sequence[float]
    """Seconds from commit to visible row."""
    letters: int
    """Changes that could not be applied."""
    results: Sequence[TableResult]

    @property
    def differences(self) -> int:
        """Documents that are not the same on both sides."""
        return sum(result.missing + result.extra + result.different for result in self.results)


def summary(outcome: Outcome) -> RenderableType:
    """For a person to read."""
    documents = sum(result.source_documents for result in outcome.results)
    written = ", ".join(f"{number:,} {kind}" for kind, number in outcome.written.items())
    load_rate = outcome.loaded / outcome.load_seconds
    figures = {
        "documents": f"{documents:,} in {len(outcome.results)} tables, every one of them compared",
        "first load": f"{outcome.loaded:,} documents, {load_rate:,.0f}/s, beside the writer",
        "changes written": written,
        "changes applied": f"{outcome.applied:,}",
        "changes/s": f"{outcome.streamed / outcome.stream_seconds:,.0f}, at the writer's pace",
        "commit to visible row": _delays(outcome.samples),
        "differences": f"{outcome.differences:,}",
    }
    if outcome.letters:
        figures["dead letters"] = f"{outcome.letters:,} changes could not be applied"
    grid = Table.grid(padding=(0, 2))
    for name, figure in figures.items():
        style = "" if name != "differences" else "bold red" if outcome.differences else "bold green"
        grid.add_row(Text(name), Text(figure, style=style))
    return Group(_tables(outcome.results), Text(""), grid)


def _delays(samples: Sequence[float]) -> str:
    if not samples:
        return "no insert was timed: the writer went on for too short a time"
    fast, slow = (1000 * percentile(samples, percent) for percent in (50, 99))
    return f"p50 {fast:,.0f} ms, p99 {slow:,.0f} ms, of {len(samples):,} inserts that were timed besides"


def _tables(results: Sequence[TableResult]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("table", no_wrap=True)
    for name in ("documents", "rows", "missing", "extra", "different"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        numbers = (result.source_documents, result.target_rows, result.missing, result.extra, result.different)
        table.add_row(Text(result.table), *(f"{number:,}" for number in numbers))
    examples = [
        Text(f"{result.table}: {example.key}: {example.problem} {', '.join(example.fields)}", style="red")
        for result in results
        for example in result.examples[:_MOST_EXAMPLES]
    ]
    return Group(table, *examples)
