"""Progress for a person to watch: a live table on a terminal, a plain line now and then anywhere else.

What it shows is `warp.monitoring.progress`'s. While the live table stands, what this process and its children write
to stderr appears above it, line by line.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from warp.monitoring.progress import Progress, SchemaProgress, TableProgress
from warp.monitoring.terminal import escaped, visible

LINE_SECONDS = 2.0
"""How often a plain line comes."""
_STDERR = 2
_MOST_TABLES = 20
_FRESH_SECONDS = 2
"""The checkpoint is saved about once a second, and cluster times are whole seconds: a smaller lag cannot be told."""


class Display(Protocol):
    """Where progress is shown."""

    def show(self, progress: Progress, note: str = "") -> None:
        """Show how it stands now, with a note beside it."""

    def say(self, line: str) -> None:
        """Print a line that stays."""


@contextmanager
def display(stream: TextIO) -> Iterator[Display]:
    """A display on `stdout` or `stderr`, whichever `stream` is."""
    if not stream.isatty():
        yield LineDisplay(stream, clock=time.monotonic)
        return
    with ExitStack() as stack:
        # A descriptor of its own, so that capturing stderr does not capture the display.
        own = stack.enter_context(os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8"))
        live = Live(console=Console(file=own), auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        shown = LiveDisplay(stack.enter_context(live))
        if sys.stderr.isatty():
            stack.enter_context(_stderr_to(shown.say))
        yield shown


class LineDisplay:
    """Plain lines, at most one every LINE_SECONDS."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._next = clock()

    def show(self, progress: Progress, note: str = "") -> None:
        if self._clock() >= self._next:
            self._next = self._clock() + LINE_SECONDS
            self.say(f"{in_a_line(progress)}; {note}" if note else in_a_line(progress))

    def say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveDisplay:
    """A table that stays in its place."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, progress: Progress, note: str = "") -> None:
        self._live.update(_picture(progress, note), refresh=True)

    def say(self, line: str) -> None:
        self._live.console.print(Text.from_ansi(line))


def in_a_line(progress: Progress) -> str:
    """All of it in one line."""
    if not progress.begun:
        return "waiting for the tailer to begin"
    behind = ", ".join(f"{visible(table.ref.table)} {table.backlog:,}" for table in progress.tables if table.backlog)
    load = f"loaded {progress.loaded:,} of {progress.documents:,} documents ({progress.load_rate:,.0f}/s)"
    parts = [
        load if progress.loading else f"{progress.loaded:,} documents loaded",
        f"{progress.applied:,} changes applied ({progress.rate:,.0f}/s)",
        f"backlog {progress.backlog:,}" + (f" ({behind})" if behind else ""),
        f"lag {_seconds(progress.lag_seconds)}",
    ]
    if progress.letters:
        parts.append(f"{progress.letters:,} dead letters")
    blocked = [(table.ref.table, table.blocked) for table in progress.tables if table.blocked]
    parts += [f"{visible(name)} is blocked: {escaped(reason)}" for name, reason in blocked]
    return ", ".join(parts)


def _picture(progress: Progress, note: str) -> RenderableType:
    head = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(progress.documents, 1), completed=progress.loaded, width=30)
    loaded = f"{progress.loaded:,} of {progress.documents:,} documents"
    head.add_row("first load", bar, loaded, _rate(progress.load_rate))
    lag = f"lag {_seconds(progress.lag_seconds)}"
    head.add_row("changes", lag, f"{progress.applied:,} applied", _rate(progress.rate))
    return Group(head, _tables(progress), Text(note)) if note else Group(head, _tables(progress))


def _tables(progress: Progress) -> Table:
    picture = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    picture.add_column("table", no_wrap=True)
    picture.add_column("state", no_wrap=True)
    for name in ("loaded", "applied", "backlog", "lag"):
        picture.add_column(name, justify="right", no_wrap=True)
    if progress.letters:
        picture.add_column("dead letters", justify="right", no_wrap=True, style="red")
    rows = [(schema, table) for schema in progress.schemas for table in schema.tables]
    if len(rows) > _MOST_TABLES:
        rows.sort(key=lambda row: (-row[1].backlog, not row[1].loading))
    for schema, table in rows[:_MOST_TABLES]:
        picture.add_row(*map(Text, _cells(schema, table, len(progress.schemas) > 1)))
    if len(rows) > _MOST_TABLES:
        picture.add_row(f"… and {len(rows) - _MOST_TABLES} more")
    return picture


def _cells(schema: SchemaProgress, table: TableProgress, with_schema: bool) -> list[str]:
    return [
        visible(str(table.ref) if with_schema else table.ref.table),
        "blocked" if table.blocked else "loading" if table.loading else "streaming",
        f"{table.loaded:,} of {table.documents:,}" if table.loading else f"{table.loaded:,}",
        f"{table.applied:,}",
        f"{table.backlog:,}",
        _seconds(schema.lag_seconds if table.backlog else 0),
        *([f"{table.letters:,}"] if table.letters else []),
    ]


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}/s"


def _seconds(lag: int | None) -> str:
    if lag is None:
        return "not begun"
    return f"under {_FRESH_SECONDS} s" if lag < _FRESH_SECONDS else f"{lag:,} s"


@contextmanager
def _stderr_to(say: Callable[[str], None]) -> Iterator[None]:
    """Hand every line that is written to descriptor 2, by whomever, to `say`."""
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    reader, writer = os.pipe()
    os.dup2(writer, _STDERR)
    os.close(writer)

    def relay() -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                say(line.rstrip("\n"))

    thread = threading.Thread(target=relay, name="stderr-above-display", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, _STDERR)
        os.close(saved)
        # The end of the pipe comes when nobody is left who could write to it; a child that hangs is not waited for.
        thread.join(1.0)
