"""`init` and `validate`: writing a configuration to start from, and saying what one means or what is wrong with it."""

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option
from warp.config import DEFAULT_PATH, Config, SchemaConfig, TableConfig, TableSettings, load_config, redact
from warp.config.filters import FieldSettings, TableFilterSettings
from warp.config.secrets import HIDDEN
from warp.errors import ConfigurationError
from warp.evolution.rules import DEFAULT, MAX_COLUMNS

_STDOUT = Path("-")
# No collection has this name, so what holds for it holds for every table without settings of its own.
_ANY_TABLE = ""


@click.command(
    epilog=epilog("cartridge-warp init", "cartridge-warp init configs/shop.yaml --force", "cartridge-warp init -")
)
@click.argument("path", type=click.Path(path_type=Path), default=DEFAULT_PATH)
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def init(path: Path, force: bool) -> None:
    """Write a commented configuration to start from.

    It goes to PATH (cartridge-warp.yaml if left out; - for stdout), and is valid as it stands.
    """
    template = files("warp.config").joinpath("template.yaml").read_text(encoding="utf-8")
    if path == _STDOUT:
        click.echo(template, nl=False)
        return
    if path.suffix.lower() == ".json":
        remedy = f"cartridge-warp init {path.with_suffix('.yaml')}"
        raise ConfigurationError(f"{path}: init writes YAML, for its comments", remedy=remedy)
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(template)
    except FileExistsError:
        remedy = f"overwrite it with: cartridge-warp init {path} --force"
        raise ConfigurationError(f"{path} exists already", remedy=remedy) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"Wrote {path}. Set its connection strings, then: cartridge-warp validate --config {path}")


@click.command(
    epilog=epilog("cartridge-warp validate", "cartridge-warp validate --config shop.yaml --json", exit_codes=True)
)
@config_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, also where there are errors.")
def validate(config_path: Path | None, as_json: bool) -> None:
    """Check the configuration and say what it means.

    No server is asked. Environment variables count, and credentials are not shown.
    """
    try:
        config = load_config(config_path, os.environ)
    except ConfigurationError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "error": error.message, "problems": error.problems}))
        raise
    click.echo(json.dumps(_as_json(config)) if as_json else "\n".join(_as_lines(config)))


def _servers(config: Config) -> dict[str, str]:
    return {
        "source": redact(config.source.connection_string.get_secret_value()),
        "destination": redact(config.destination.connection_string.get_secret_value()),
        "redis": redact(config.redis.connection_string.get_secret_value()),
    }


def _tables(config: Config, schema: SchemaConfig) -> dict[str, TableSettings]:
    return {table.name: config.table(schema.name, table.name) for table in schema.tables}


def _as_json(config: Config) -> dict[str, Any]:
    def settings(of: TableSettings) -> dict[str, Any]:
        return {
            "batch_size": of.batch_size,
            "deletion_strategy": of.deletion_strategy,
            "on_drop": of.on_drop.value,
            "partitions": of.partitions,
            "max_columns": of.max_columns,
            **({} if of.layout is DEFAULT.layout else {"layout": of.layout.value}),
            **({"flatten_depth": of.flatten_depth} if of.flatten_depth else {}),
            **({"evolution": {"rewrite": of.rewrite.value, "conflict": of.conflict.value}} if _evolving(of) else {}),
        }

    return {
        "valid": True,
        "mode": config.mode,
        **_servers(config),
        "log_high_water_mark": config.log_high_water_mark,
        **({"mask_salt": HIDDEN} if config.mask_salt else {}),
        **_filters(config),
        "schemas": [
            {
                "name": schema.name,
                "mode": schema.mode,
                "schedule": schema.schedule,
                **settings(config.table(schema.name, _ANY_TABLE)),
                **_filters(schema),
                "tables": [
                    {
                        "name": table.name,
                        **settings(config.table(schema.name, table.name)),
                        **_filters(table),
                        **({} if config.mirrors(schema.name, table.name) else {"excluded": True}),
                    }
                    for table in schema.tables
                ],
            }
            for schema in config.schemas
        ],
    }


def _filters(level: Config | SchemaConfig | TableConfig) -> dict[str, Any]:
    """What one level says about tables and fields, where it says anything."""
    keys = {*FieldSettings.model_fields, *TableFilterSettings.model_fields}
    said = level.model_dump(mode="json", include=keys, exclude_defaults=True)
    return {"filters": said} if said else {}


def _as_lines(config: Config) -> list[str]:
    lines = ["The configuration is valid.", ""]
    lines += [f"{name:<12} {address}" for name, address in _servers(config).items()]
    for schema in config.schemas:
        how = "follows the change stream" if schema.mode == "stream" else f'is read at "{schema.schedule}"'
        tables = {"every other table" if schema.tables else "every table": config.table(schema.name, _ANY_TABLE)}
        tables = {**_tables(config, schema), **tables}
        width = max(map(len, tables))
        lines += ["", f"schema {schema.name} {how}"]
        excluded = {table.name for table in schema.tables if not config.mirrors(schema.name, table.name)}
        lines += [
            f"  {name:<{width}}  {'excluded' if name in excluded else _in_words(settings)}"
            for name, settings in tables.items()
        ]
        for level in (schema, config):
            lines += [f"  only tables {', '.join(level.include_tables)}"] if level.include_tables else []
            lines += [f"  no tables {', '.join(level.exclude_tables)}"] if level.exclude_tables else []
    return lines


def _in_words(settings: TableSettings) -> str:
    shares = "1 partition" if settings.partitions == 1 else f"{settings.partitions} partitions"
    filtered = ", fields filtered" if settings.filter else ""
    steps = f"{settings.batch_size} changes a step, {settings.deletion_strategy} deletes"
    columns = "" if settings.max_columns == MAX_COLUMNS else f", at most {settings.max_columns} columns"
    return f"{steps}, {shares}{columns}{_laid_out(settings)}{_evolving(settings)}{filtered}"


def _evolving(settings: TableSettings) -> str:
    if (settings.rewrite, settings.conflict) == (DEFAULT.rewrite, DEFAULT.conflict):
        return ""
    return f", evolution: rewrite {settings.rewrite}, conflict {settings.conflict}"


def _laid_out(settings: TableSettings) -> str:
    if settings.layout is not DEFAULT.layout:
        return f", layout {settings.layout}"
    return f", objects flattened down to {settings.flatten_depth}" if settings.flatten_depth else ""
