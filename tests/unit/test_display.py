"""Progress: when a mirror has caught up, how fast it moves, and what a person sees of it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.live import Live

from warp.change import TableRef, cluster_time
from warp.monitoring.display import LINE_SECONDS, LineDisplay, LiveDisplay, in_a_line
from warp.monitoring.progress import Progress, SchemaProgress, TableProgress

NOW = cluster_time(1_000_000, 0)


def table(name: str, *, loading: bool = False, loaded: int = 10, applied: int = 3, backlog: int = 0) -> TableProgress:
    """A table of 10 documents."""
    return TableProgress(
        ref=TableRef("shop", name),
        loading=loading,
        documents=10,
        loaded=loaded,
        applied=applied,
        backlog=backlog,
        letters=0,
    )


def progress(*tables: TableProgress, checkpoint: int | None = NOW) -> Progress:
    """The progress of one schema."""
    schema = SchemaProgress(name="shop", checkpoint_ts=checkpoint, source_ts=NOW, tables=tables)
    return Progress(schemas=[schema], rate=1234.5, load_rate=9876.5)


@pytest.mark.parametrize(
    ("state", "caught_up"),
    [
        (progress(checkpoint=None), False),
        (progress(), True),
        (progress(table("a")), True),
        (progress(table("a"), table("b", loading=True)), False),
        (progress(table("a"), checkpoint=NOW - 1), False),
        (progress(table("a"), checkpoint=NOW + 1), True),
    ],
)
def test_caught_up_is_begun_loaded_and_applied_up_to_the_time(state: Progress, caught_up: bool) -> None:
    assert state.caught_up(NOW) is caught_up


def test_a_line_says_how_far_the_load_is_and_where_the_backlog_lies() -> None:
    line = in_a_line(progress(table("a", loading=True, loaded=4, backlog=1200), table("b")))
    assert line == (
        "loaded 14 of 20 documents (9,876/s), 6 changes applied (1,234/s), backlog 1,200 (a 1,200), lag under 2 s"
    )


def test_a_line_says_the_lag_once_it_can_be_told() -> None:
    behind = progress(table("a"), checkpoint=cluster_time(1_000_000 - 75, 0))
    assert in_a_line(behind) == "10 documents loaded, 3 changes applied (1,234/s), backlog 0, lag 75 s"


def test_a_line_says_when_there_is_nothing_to_say_yet() -> None:
    assert in_a_line(progress(checkpoint=None)) == "waiting for the tailer to begin"


def test_plain_lines_come_now_and_then() -> None:
    stream = io.StringIO()
    now = 0.0
    lines = LineDisplay(stream, clock=lambda: now)
    for _ in range(5):
        lines.show(progress(), "a note")
        now += LINE_SECONDS / 2
    assert stream.getvalue().count("; a note\n") == 3


def test_the_live_table_names_every_table_and_its_schema_where_there_are_several() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    one = progress(table("orders", loading=True, loaded=4), table("[b]odd[/b]", backlog=7))
    with Live(console=console, auto_refresh=False) as live:
        shown = LiveDisplay(live)
        shown.show(one, "a note")
        shown.say("a line of a log [not markup]")
        two = Progress(schemas=[*one.schemas, *one.schemas], rate=0.0, load_rate=0.0)
        shown.show(two)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for expected in ("4 of 10", "[b]odd[/b]", "a note", "a line of a log [not markup]", "shop.orders"):
        assert expected in text


def test_a_blocked_table_says_why() -> None:
    blocked = replace(table("carts"), blocked='column "v" is gone')
    assert in_a_line(progress(table("orders"), blocked)).endswith(', carts is blocked: column "v" is gone')


def test_names_and_reasons_of_others_are_shown_and_not_obeyed() -> None:
    blocked = replace(table("o\x1b[31m", backlog=7), blocked='column "\x9b" is gone')
    assert '"o\\u001b[31m" 7' in in_a_line(progress(blocked))
    assert in_a_line(progress(blocked)).endswith('"o\\u001b[31m" is blocked: column "\\u009b" is gone')
    console = Console(file=io.StringIO(), width=120, color_system=None)
    with Live(console=console, auto_refresh=False) as live:
        LiveDisplay(live).show(progress(blocked))
    assert isinstance(console.file, io.StringIO)
    assert '"o\\u001b[31m"' in console.file.getvalue()
    assert "\x1b[31m" not in console.file.getvalue()
