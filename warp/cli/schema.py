"""`cartridge-warp schema`: the shapes that tables have had, and where PostgreSQL has another one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, schema_option
from warp.cli.shapes import Drift, as_text, changes_to_json, drift_as_text, drift_to_json, in_words, version_to_json
from warp.config import Config
from warp.destinations.survey import MetadataTables, ShapeVersion, Survey, open_survey
from warp.errors import ExitCode, Fatal, WarpError
from warp.evolution.compare import difference
from warp.monitoring.terminal import visible

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
table_argument = click.argument("table", metavar="[TABLE]", required=False)


@click.group(
    epilog=epilog(
        "cartridge-warp schema history orders",
        "cartridge-warp schema diff",
        "cartridge-warp schema diff orders --from 1 --to 3",
        exit_codes=True,
    )
)
def schema() -> None:
    """Show how tables took their shape, and what is not as it was made.

    TABLE is the name of a collection; without one, all tables are meant. Only PostgreSQL is asked, and nothing written.
    """


@schema.command(
    epilog=epilog("cartridge-warp schema history orders", "cartridge-warp schema history --schema shop --json")
)
@config_option()
@table_argument
@schema_option()
@json_option
@log_level_option()
def history(
    config_path: Path | None, table: str | None, schema: str | None, as_json: bool, log_level: str | None
) -> None:
    """Show every version of tables' shapes, the oldest first.

    Of each: when, why, up to which position of the stream, and what became otherwise. A column that is not called as
    its field is, is shown with its field.
    """
    with _looking(config_path, log_level) as (config, survey):
        versions = _versions(config, survey, schema, table)
    if as_json:
        click.echo(json.dumps({"versions": [version_to_json(version) for version in versions]}))
        return
    for version in versions:
        Console().print(as_text(version), soft_wrap=True)
    if not versions:
        click.echo("no tables yet")


@schema.command(
    epilog=epilog(
        "cartridge-warp schema diff",
        "cartridge-warp schema diff orders --schema shop --json",
        "cartridge-warp schema diff orders --from 1 --to 3",
        exit_codes=True,
    )
)
@config_option()
@table_argument
@schema_option()
@click.option("--from", "first", type=click.IntRange(min=1), metavar="N", help="The version to begin with.")
@click.option("--to", "last", type=click.IntRange(min=1), metavar="N", help="The version to end with.  [default: last]")
@json_option
@log_level_option()
@click.pass_context
def diff(
    ctx: click.Context,
    /,
    config_path: Path | None,
    table: str | None,
    schema: str | None,
    first: int | None,
    last: int | None,
    as_json: bool,
    log_level: str | None,
) -> None:
    """Compare two versions of a table, or what tables should be with what PostgreSQL has.

    With --from, the versions of one table. Without, PostgreSQL's catalog: columns that are missing, of another type, or
    there although nobody needs them; exit code 3 where there are any.
    """
    if (first is None and last is not None) or (first is not None and table is None):
        raise click.UsageError("two versions are compared with TABLE and --from, and --to if it is not the last one")
    with _looking(config_path, log_level) as (config, survey):
        versions = _versions(config, survey, schema, table)
        drifts = [] if first else [_drift(survey, latest) for latest in _latest(versions) if latest.after]
    if first:
        _show_between(_one(versions, first), _one(versions, last or versions[-1].version), as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps({"same": not any(drifts), "tables": [drift_to_json(drift) for drift in drifts]}))
    else:
        for drift in drifts:
            Console().print(drift_as_text(drift), soft_wrap=True)
        if not drifts:
            click.echo("no tables")
    if any(drifts):
        ctx.exit(ExitCode.DIFFERENT)


@contextmanager
def _looking(config_path: Path | None, log_level: str | None) -> Iterator[tuple[Config, Survey]]:
    config = configure(config_path, log_level or "WARNING", process="schema")
    survey = open_survey(config.destination.type, config.destination.connection_string.get_secret_value())
    try:
        if survey.metadata_tables() is not MetadataTables.KEEP:
            raise Fatal("the metadata tables are missing or out of date", remedy="run: cartridge-warp migrate")
        yield config, survey
    finally:
        survey.close()


def _versions(config: Config, survey: Survey, schema: str | None, table: str | None) -> list[ShapeVersion]:
    found = [version for each in config.selected_schemas(schema) for version in survey.versions(each.name)]
    chosen = [version for version in found if table in (None, version.ref.table)]
    if table is not None and not chosen:
        raise WarpError(f"no table {table!r} has been made", remedy="see: cartridge-warp schema history")
    return chosen


def _latest(versions: Sequence[ShapeVersion]) -> list[ShapeVersion]:
    return list({version.ref: version for version in versions}.values())


def _one(versions: Sequence[ShapeVersion], number: int) -> ShapeVersion:
    if len({version.ref for version in versions}) > 1:
        raise click.UsageError("there is a table of this name in several schemas: name one with --schema")
    for version in versions:
        if version.version == number:
            return version
    raise WarpError(
        f"{versions[0].ref} has no version {number}, only up to {versions[-1].version}",
        remedy=f"see: cartridge-warp schema history {versions[0].ref.table}",
    )


def _drift(survey: Survey, latest: ShapeVersion) -> Drift:
    assert latest.after is not None
    return Drift(version=latest, expected=survey.columns(latest.after), actual=survey.actual_columns(latest.ref))


def _show_between(one: ShapeVersion, other: ShapeVersion, *, as_json: bool) -> None:
    between = difference(one.after, other.after)
    if as_json:
        about = {"schema": one.ref.schema, "table": one.ref.table, "from": one.version, "to": other.version}
        click.echo(json.dumps(about | {"changes": changes_to_json(between)}))
    else:
        click.echo(f"{visible(str(one.ref))}: from version {one.version} to {other.version}")
        click.echo("\n".join(f"  {line}" for line in in_words(between)) or "  the same")
