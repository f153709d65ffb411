"""What a run came to, for a person: recovery times by kind of fault, numbers, and how to run it again."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.chaos.log import Entry, recoveries
from tests.chaos.run import Outcome


def show(console: Console, outcome: Outcome, command: str) -> None:
    """Print the outcome; `command` repeats the run."""
    console.print(_recoveries(outcome.log))
    for name, number in outcome.facts.items():
        console.print(Text(f"{name}: {number:,}"))
    if not outcome.failures:
        console.print(Text("passed", "green"))
        return
    console.print(Text("fault log:"))
    for entry in outcome.log:
        console.print(Text(str(entry)), soft_wrap=True)
    console.print(Text("FAILED:", "red"))
    for failure in outcome.failures:
        console.print(Text(failure, "red"), soft_wrap=True)
    console.print(Text(f"again: {command}"), soft_wrap=True)


def _recoveries(log: list[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, title="seconds to recover", title_justify="left")
    table.add_column("fault")
    for name in ("times", "median from its end", "worst", "median from its beginning", "worst"):
        table.add_column(name, justify="right")
    for kind in recoveries(log):
        times = (kind.median_from_end, kind.worst_from_end, kind.median_from_begin, kind.worst_from_begin)
        table.add_row(kind.kind, str(kind.faults), *(f"{seconds:.1f}" for seconds in times))
    return table
