"""`cartridge-warp status`: how every schema and table stands, for a person or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warp.change import dotted
from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, schema_option
from warp.connections import open_connections
from warp.destinations.kept import NULL
from warp.metadata.base import LoggedError
from warp.monitoring.metrics import OTHER_FIELDS
from warp.monitoring.status import SchemaStatus, State, TableStatus
from warp.monitoring.survey import read_status, with_kept, with_names
from warp.monitoring.terminal import escaped, visible

_UNKNOWN = "?"
_MOST_NAMES = 5
_STYLES = {State.STREAMING: "green", State.STOPPED: "red", State.STALLED: "red", State.BLOCKED: "red"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@click.command(epilog=epilog("cartridge-warp status", "cartridge-warp status --schema shop --json", exit_codes=True))
@config_option()
@schema_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@log_level_option()
def status(config_path: Path | None, schema: str | None, as_json: bool, log_level: str | None) -> None:
    """Say how every schema and table stands.

    States, lag, backlog, rows applied, dead letters, how long the source keeps what is still needed; what has
    stalled or is blocked, why, and what to do; how many values went to _extra so far, and why; the last errors.
    PostgreSQL must be there; what only MongoDB or Redis can say is left open while they are away.

    \b
    --json: {"schemas": [{name, state, lag_seconds, backlog_changes, oplog_headroom_seconds, checkpoint_age_seconds,
      stalled, headroom_short,        null, or {reason, remedy}
      tables: [{name, target, renamed_columns: [{name, becomes}], state, …, blocked: null, or {reason, remedy, since},
        kept_in_extra: [{field: null for others, reason, values, first_at, last_at}]}],
      errors: [{table, class, error, remedy, correlation_id, first_at, last_at, age_seconds, occurrences}],
      notes}]}
    """
    config = configure(config_path, log_level, process="status")
    connections = open_connections(config)
    try:
        connections.destination.require_migrated()
        destination = connections.destination
        named = [with_names(each, destination) for each in read_status(config, connections, schema)]
        schemas = [with_kept(each, destination.metadata) for each in named]
    finally:
        connections.close()
    if as_json:
        click.echo(json.dumps({"schemas": [each.to_json() for each in schemas]}))
    else:
        console = Console()
        for each in schemas:
            _show(console, each)


def _show(console: Console, schema: SchemaStatus) -> None:
    heading = Text.assemble(("schema ", "bold"), (visible(schema.name), "bold"), ": ", _state(schema.state))
    heading.append(f", lag {_seconds(schema.lag_seconds)}, backlog {_number(schema.backlog_changes)} changes")
    heading.append(f", oplog headroom {_seconds(schema.oplog_headroom_seconds)}")
    console.print(heading, soft_wrap=True)
    for trouble in filter(None, (schema.stalled, schema.headroom_short)):
        _say(console, trouble.reason, trouble.remedy)
    for table in schema.tables:
        if table.blocked is not None:
            _say(console, f"{visible(table.name)} is blocked: {table.blocked.reason}", table.blocked.remedy)
    for note in schema.notes:
        console.print(Text(f"  {escaped(note)}", "yellow"), soft_wrap=True)
    if schema.tables:
        console.print(_tables(schema))
    for table in schema.tables:
        for line in (*_names(schema.name, table), *_kept(table)):
            console.print(Text(f"  {line}", "dim"), soft_wrap=True)
    for error in schema.errors:
        _tell(console, error)


def _say(console: Console, reason: str, remedy: str | None) -> None:
    console.print(Text(f"  {escaped(reason)}", "red"), soft_wrap=True)
    if remedy:
        console.print(Text(f"    to do: {escaped(remedy)}"), soft_wrap=True)


def _tell(console: Console, error: LoggedError) -> None:
    times = f", {error.occurrences:,} times" if error.occurrences > 1 else ""
    age = _seconds((datetime.now(UTC) - error.last_at).total_seconds())
    about = f"{visible(error.table)}: " if error.table else ""
    heading = Text(f"  {age} ago{times}: {about}{error.error_class}: {escaped(error.error)}", "dim")
    if error.remedy:
        heading.append(f" (to do: {escaped(error.remedy)})")
    if error.correlation_id:
        heading.append(f" [{error.correlation_id}]")
    console.print(heading, soft_wrap=True)


def _tables(schema: SchemaStatus) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2))
    shown.add_column("table", overflow="fold")
    shown.add_column("state")
    for name in ("lag", "backlog", "bytes", "loaded", "applied", "dead letters"):
        shown.add_column(name, justify="right")
    for table in schema.tables:
        shown.add_row(
            Text(visible(table.name)),
            _state(table.state),
            _seconds(table.lag_seconds),
            _number(table.backlog_changes),
            _number(table.backlog_bytes),
            _loaded(table),
            _number(table.changes_applied),
            Text(_number(table.dead_letters), "red" if table.dead_letters else ""),
        )
    return shown


def _names(schema: str, table: TableStatus) -> Iterator[str]:
    """What PostgreSQL calls otherwise than the source does."""
    if table.target != f'"{schema}"."{table.name}"':
        yield f"{visible(table.name)} is the table {visible(table.target)}"
    if table.renamed:
        fields = list(table.renamed.items())
        shown = ", ".join(f"{visible(dotted(field))} is {visible(column)}" for field, column in fields[:_MOST_NAMES])
        rest = f" and {len(fields) - _MOST_NAMES} more: cartridge-warp schema history" if fields[_MOST_NAMES:] else ""
        yield f"columns of {visible(table.name)}: {shown}{rest}"


def _kept(table: TableStatus) -> Iterator[str]:
    """What was kept in `_extra`, nulls last: they are no misfits."""
    kept = sorted(table.kept, key=lambda each: each.reason == NULL)
    if kept:
        shown = ", ".join(
            f"{OTHER_FIELDS if each.field is None else visible(dotted(each.field))} {each.values:,} ({each.reason})"
            for each in kept[:_MOST_NAMES]
        )
        rest = f" and {len(kept) - _MOST_NAMES} more: cartridge-warp status --json" if kept[_MOST_NAMES:] else ""
        yield f"kept in _extra of {visible(table.name)}: {shown}{rest}"


def _state(state: State) -> Text:
    return Text(state.value, _STYLES.get(state, "yellow"))


def _loaded(table: TableStatus) -> str:
    rows = _number(table.rows_loaded)
    return f"{rows} of ~{table.documents_estimate:,}" if table.state in (State.PLANNED, State.LOADING) else rows


def _number(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"


def _seconds(seconds: float | None) -> str:
    """A duration in the largest unit of which there are at least two."""
    if seconds is None:
        return _UNKNOWN
    for unit, length in (("days", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"
