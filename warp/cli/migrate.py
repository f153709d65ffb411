"""`cartridge-warp migrate`: make or update the metadata tables."""

from __future__ import annotations

from pathlib import Path

import click

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option
from warp.destinations.registry import open_destination


@click.command(epilog=epilog("cartridge-warp migrate", "cartridge-warp migrate --config warehouse.yaml"))
@config_option()
@log_level_option()
def migrate(config_path: Path | None, log_level: str | None) -> None:
    """Create or update the metadata tables.

    They live in the PostgreSQL schema "cartridge_warp" of the target database. Running it again changes nothing.
    """
    config = configure(config_path, log_level, process="migrate")
    destination = open_destination(config.destination.type, config.destination.connection_string.get_secret_value())
    try:
        for name in destination.migrate():
            click.echo(f"applied {name}")
        click.echo("the metadata tables are up to date")
    finally:
        destination.close()
