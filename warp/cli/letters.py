"""Which dead letters a command means, and how they are shown: to a person in lines, to a program as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from warp.change import cluster_seconds
from warp.metadata.base import LetterState, StoredLetter
from warp.monitoring.terminal import escaped, visible

_Command = TypeVar("_Command", bound=Callable[..., Any])

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MOST_OF_A_CELL = 60


def age(text: str) -> timedelta:
    """A time span: `90s`, `20m`, `2h`, `3d` or `1w`. Raises BadParameter."""
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a time span: use 90s, 20m, 2h, 3d or 1w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def filter_options() -> Callable[[_Command], _Command]:
    """The options that choose letters, passed by the names of `LetterFilter`'s fields."""
    options = [
        click.option("--schema", metavar="NAME", help="Only of this schema."),
        click.option("--table", metavar="NAME", help="Only of tables of this name."),
        click.option("--key", metavar="TEXT", help="Only of the document with this key."),
        click.option("--error", metavar="TEXT", help="Only of this class of error, or with this in the error's text."),
        click.option("--older-than", type=age, metavar="AGE", help="Only parked longer ago (90s, 20m, 2h, 3d, 1w)."),
        click.option("--newer-than", type=age, metavar="AGE", help="Only parked since."),
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def as_table(letters: Sequence[StoredLetter], *, with_state: bool) -> Table:
    """One line for each letter."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("id", justify="right", no_wrap=True)
    for name in ("table", "key", "operation", "error"):
        shown.add_column(name, overflow="fold")
    shown.add_column("tries", justify="right")
    shown.add_column("parked", no_wrap=True)
    if with_state:
        shown.add_column("state", no_wrap=True)
    for stored in letters:
        letter = stored.letter
        cells = [
            str(stored.number),
            visible(str(letter.ref)),
            visible(letter.key.text, _MOST_OF_A_CELL),
            letter.operation.value,
            f"{letter.error_class}: {escaped(letter.error)}",
            str(stored.attempts),
            _moment(stored.parked_at),
        ]
        shown.add_row(*map(Text, [*cells, stored.state.value] if with_state else cells))
    return shown


def in_full(stored: StoredLetter, payload: str | None) -> Text:
    """Everything that is known of a letter; `payload` is the change itself as JSON, None: it is not to be shown."""
    letter = stored.letter
    resolved = f" at {_moment(stored.resolved_at)}" if stored.resolved_at else ""
    lines = {
        "table": visible(str(letter.ref)),
        "key": f"{visible(letter.key.text, 10_000)} ({letter.key.kind})",
        "operation": letter.operation.value,
        "state": f"{stored.state}{resolved}",
        "tries": str(stored.attempts),
        "parked": _moment(stored.parked_at),
        "cluster time": f"{letter.ts} ({_moment(datetime.fromtimestamp(cluster_seconds(letter.ts), UTC))})",
        "position": letter.position or "none: read by a first load",
        "correlation id": letter.correlation_id,
        "error": f"{letter.error_class}: {escaped(letter.error)}",
        "remedy": escaped(letter.remedy or "") or "none is known",
    }
    text = Text.assemble((f"dead letter {stored.number}\n", "bold"))
    for name, value in lines.items():
        text.append(f"  {name + ':':<16}{value}\n")
    text.append("  traceback:\n" + "".join(f"    {line}\n" for line in escaped(letter.traceback).splitlines()))
    if payload is not None:
        pretty = json.dumps(json.loads(payload), indent=2, ensure_ascii=False) if payload else _NO_PAYLOAD
        text.append("  payload:\n" + "".join(f"    {line}\n" for line in escaped(pretty).splitlines()))
    return text


_NO_PAYLOAD = "none: a replay looks the document up by its key"


def to_json(stored: StoredLetter) -> dict[str, Any]:
    """Everything that is known of a letter but its payload."""
    letter = stored.letter
    return {
        "id": stored.number,
        "schema": letter.ref.schema,
        "table": letter.ref.table,
        "key": letter.key.text,
        "key_kind": letter.key.kind.value,
        "operation": letter.operation.value,
        "state": stored.state.value,
        "tries": stored.attempts,
        "parked_at": stored.parked_at.isoformat(),
        "resolved_at": stored.resolved_at.isoformat() if stored.resolved_at else None,
        "cluster_time": letter.ts,
        "position": letter.position,
        "correlation_id": letter.correlation_id,
        "error_class": letter.error_class,
        "error": letter.error,
        "remedy": letter.remedy,
        "traceback": letter.traceback,
    }


def state_option() -> Callable[[_Command], _Command]:
    """`--state`, passed as `state: str`, "all" for any."""
    return click.option(
        "--state",
        type=click.Choice([*(state.value for state in LetterState), "all"]),
        default=LetterState.OPEN.value,
        show_default=True,
        help="What became of them.",
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
