"""`cartridge-warp verify`: compare both sides, and say what differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, schema_option
from warp.config import Config
from warp.connections import open_connections
from warp.errors import ConfigurationError, ExitCode
from warp.monitoring.terminal import escaped, visible
from warp.verify import Example, TableResult, verify_schema

_MOST_FIELDS = 8


@click.command(
    epilog=epilog(
        "cartridge-warp verify",
        "cartridge-warp verify --schema shop --patience 120",
        "cartridge-warp verify --json",
        exit_codes=True,
    )
)
@config_option()
@schema_option()
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long, for each schema, to wait for documents that are still on their way.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@log_level_option()
@click.pass_context
def verify(
    ctx: click.Context,
    config_path: Path | None,
    schema: str | None,
    patience: float,
    as_json: bool,
    log_level: str | None,
) -> None:
    """Compare every document of both sides.

    Each row is rebuilt into its document, and compared by fields and values. The mirror may be at work meanwhile:
    what is on its way is not a difference. Keys and names of fields are shown, values never.
    """
    config = configure(config_path, log_level, process="verify")
    results = _results(config, schema, patience)
    identical = all(result.identical for result in results)
    if as_json:
        click.echo(json.dumps({"identical": identical, "tables": [result.to_json() for result in results]}))
    else:
        _show(Console(), results)
    if not identical:
        ctx.exit(ExitCode.DIFFERENT)


def _results(config: Config, only: str | None, patience: float) -> list[TableResult]:
    schemas = config.stream_schemas(only)
    if not schemas:
        raise ConfigurationError("there is no schema with mode: stream to verify")
    connections = open_connections(config)
    source, destination = connections.source, connections.destination
    results: list[TableResult] = []
    try:
        source.now()
        destination.require_migrated()
        for schema in schemas:
            with _progress(schema.name) as progress:
                results += verify_schema(
                    source,
                    destination,
                    schema.name,
                    patience=patience,
                    progress=progress,
                    fields=partial(config.fields, schema.name),
                    mirrors=partial(config.mirrors, schema.name),
                )
    finally:
        connections.close()
    return results


@contextmanager
def _progress(schema: str) -> Iterator[Callable[[str, int], None]]:
    """On a terminal, a line on stderr that says how far the comparison is."""
    with Console(stderr=True).status(Text(f"verifying {visible(schema)} …")) as status:

        def show(table: str, documents: int) -> None:
            status.update(Text(f"verifying {visible(f'{schema}.{table}')}: {documents:,} documents"))

        yield show


def _show(console: Console, results: Sequence[TableResult]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("table", overflow="fold")
    for name in ("documents", "rows", "missing", "extra", "different"):
        table.add_column(name, justify="right")
    for result in results:
        counts = (result.source_documents, result.target_rows, result.missing, result.extra, result.different)
        if result.excluded:
            continue
        style = "" if result.identical else "red"
        table.add_row(Text(_name(result), style), *(Text(f"{count:,}", style) for count in counts))
    console.print(table)
    for result in results:
        if result.excluded:
            console.print(Text(f"{_name(result)}: excluded by the configuration, not compared"), soft_wrap=True)
        if result.kept_rows:
            kept = f"{result.kept_rows:,} rows are kept of what the source dropped, as last applied"
            console.print(Text(f"{_name(result)}: {kept}"), soft_wrap=True)
        if result.error:
            console.print(Text(f"{_name(result)}: not compared: {escaped(result.error)}", "red"), soft_wrap=True)
        for example in result.examples:
            console.print(Text(f"{_name(result)}: {_in_words(example)}"), soft_wrap=True)
    compared = sum(not result.excluded for result in results)
    documents = sum(result.source_documents for result in results)
    if all(result.identical for result in results):
        console.print(Text(f"identical: {documents:,} documents in {compared} tables"))
    else:
        differences = sum(result.missing + result.extra + result.different for result in results)
        console.print(Text(f"{differences:,} differences in {documents:,} documents", "red"))


def _name(result: TableResult) -> str:
    return visible(f"{result.schema}.{result.table}")


def _in_words(example: Example) -> str:
    fields = [visible(name) for name in example.fields[:_MOST_FIELDS]]
    if len(example.fields) > _MOST_FIELDS:
        fields.append(f"and {len(example.fields) - _MOST_FIELDS} more")
    return f"{example.problem} {visible(example.key)}" + (f" in {', '.join(fields)}" if fields else "")
