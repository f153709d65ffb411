"""`cartridge-warp plan`: read the source, and say what its tables would become before the first row is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from warp.change import TableRef
from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, schema_option, streams
from warp.cli.plan_text import lines
from warp.cli.planning import require_nothing_in_the_way
from warp.config import Config
from warp.destinations.registry import open_destination
from warp.destinations.survey import open_survey
from warp.errors import ConfigurationError
from warp.monitoring.terminal import visible
from warp.plan.planner import Planner, Progress
from warp.plan.result import Reading
from warp.sources.registry import open_source
from warp.sources.version import source_server


@click.command(
    epilog=epilog(
        "cartridge-warp plan --sample 10000",
        "cartridge-warp plan --schema shop --table orders",
        "cartridge-warp plan --json",
        exit_codes=True,
    )
)
@config_option()
@schema_option()
@click.option("--table", metavar="NAME", help="Only this collection.  [default: all]")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read about N documents of each collection, chosen at random.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@log_level_option()
def plan(
    config_path: Path | None,
    schema: str | None,
    table: str | None,
    sample: int | None,
    as_json: bool,
    log_level: str | None,
) -> None:
    """Say what the source's collections would become.

    Reads them, and writes nothing anywhere: types of each field, columns and DDL, fields with values of several
    types, names that change, what goes to _extra and why, documents that are dangerously large. Needs source and
    destination. Names of fields are shown, keys of large documents, and no other values. Fails where something
    would keep `run` from its work.

    \b
    --json: {"blocked", "servers": {role: version}, "sample": null, or n, "problems": […], "schemas": [{name, target,
      unmirrored: [{name, reason}],
      tables: [{name, target, action, exists, ours, blocked, documents, size_bytes, read, whole, largest_bytes,
        keys: {kind: documents},
        fields: [{field, present, missing, types: {type: values}, column (null: none)}],
        more_fields: null, or {names, at_least, types},
        columns: [{name, type, new}], ddl: [statement], renamed: [{name, becomes}],
        conflicts: [{field, column, types, became: [kind], settled: {kind: rule}, kept, dead_letters}],
        kept: [{field (null: others), reason, values}],
        large: [{danger, documents, most, keys}]}]}]}
    """
    config = configure(config_path, log_level, process="plan")
    reading = _read(config, schema, table, sample)
    if as_json:
        click.echo(json.dumps(reading.to_json()))
    else:
        for line in lines(config, reading):
            click.echo(line)
    require_nothing_in_the_way(reading.problems)


def _read(config: Config, schema: str | None, table: str | None, sample: int | None) -> Reading:
    schemas = streams(config, schema)
    source_url = config.source.connection_string.get_secret_value()
    destination_url = config.destination.connection_string.get_secret_value()
    source = open_source(config.source.type, source_url)
    destination = open_destination(config.destination.type, destination_url)
    survey = open_survey(config.destination.type, destination_url)
    try:
        source.now()
        servers = {"source": source_server(config.source.type, source_url), "destination": survey.server()}
        planner = Planner(config, source, destination.metadata, survey)
        with _progress() as progress:
            reading = planner.plan(schemas, servers, table=table, sample=sample, progress=progress)
    finally:
        survey.close()
        destination.close()
        source.close()
    if table is not None and not any(each.tables for each in reading.schemas):
        raise ConfigurationError(f"the source has no collection {table!r}")
    return reading


@contextmanager
def _progress() -> Iterator[Progress]:
    """On a terminal, a line on stderr that says how far the reading is."""
    with Console(stderr=True).status(Text("reading …")) as status:

        def show(ref: TableRef, documents: int) -> None:
            status.update(Text(f"reading {visible(str(ref))}: {documents:,} documents"))

        yield show
