"""`cartridge-warp status`: how every schema and table stands, for a person or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, schema_option
from warp.connections import open_connections
from warp.monitoring.status import SchemaStatus, State, TableStatus, read_status

_UNKNOWN = "?"
_STYLES = {State.STREAMING: "green", State.STOPPED: "red"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@click.command(epilog=epilog("cartridge-warp status", "cartridge-warp status --schema shop --json", exit_codes=True))
@config_option()
@schema_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@log_level_option()
def status(config_path: Path | None, schema: str | None, as_json: bool, log_level: str | None) -> None:
    """Say how every schema and table stands.

    States, lag, backlog, rows applied, dead letters, and how long the source keeps what is still needed. PostgreSQL
    must be there; what only MongoDB or Redis can say is left open while they are away.
    """
    config = configure(config_path, log_level, process="status")
    connections = open_connections(config)
    try:
        connections.destination.require_migrated()
        schemas = read_status(config, connections, schema)
    finally:
        connections.close()
    if as_json:
        click.echo(json.dumps({"schemas": [each.to_json() for each in schemas]}))
    else:
        console = Console()
        for each in schemas:
            _show(console, each)


def _show(console: Console, schema: SchemaStatus) -> None:
    heading = Text.assemble(("schema ", "bold"), (schema.name, "bold"), ": ", _state(schema.state))
    heading.append(f", lag {_seconds(schema.lag_seconds)}, backlog {_number(schema.backlog_changes)} changes")
    heading.append(f", oplog headroom {_seconds(schema.oplog_headroom_seconds)}")
    console.print(heading, soft_wrap=True)
    for note in schema.notes:
        console.print(Text(f"  {note}", "yellow"), soft_wrap=True)
    if schema.tables:
        console.print(_tables(schema))


def _tables(schema: SchemaStatus) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2))
    shown.add_column("table", overflow="fold")
    shown.add_column("state")
    for name in ("lag", "backlog", "bytes", "loaded", "applied", "dead letters"):
        shown.add_column(name, justify="right")
    for table in schema.tables:
        shown.add_row(
            Text(table.name),
            _state(table.state),
            _seconds(table.lag_seconds),
            _number(table.backlog_changes),
            _number(table.backlog_bytes),
            _loaded(table),
            _number(table.changes_applied),
            Text(_number(table.dead_letters), "red" if table.dead_letters else ""),
        )
    return shown


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
