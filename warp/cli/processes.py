"""`tailer`, `worker`, `scheduler` and `web`: one process each, as a Procfile runs them."""

from __future__ import annotations

from pathlib import Path

import click

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, metrics_port_option, schema_option, streams
from warp.config import Config
from warp.connections import Connections, open_connections
from warp.errors import ConfigurationError
from warp.monitoring.metrics import serve_metrics
from warp.process import Stop


def connected(config: Config, metrics_port: int | None) -> Connections:
    """Every server reached, and metrics served: what a process does first."""
    connections = open_connections(config)
    connections.check()
    serve_metrics(metrics_port, config.web.host)
    return connections


@click.command(
    epilog=epilog("cartridge-warp tailer --schema shop", "SCHEMA=shop cartridge-warp tailer --metrics-port 9101")
)
@config_option()
@schema_option(envvar="SCHEMA")
@click.option("--all", "all_schemas", is_flag=True, help="Supervise one tailer for each schema.")
@metrics_port_option()
@log_level_option()
def tailer(
    config_path: Path | None, schema: str | None, all_schemas: bool, metrics_port: int | None, log_level: str | None
) -> None:
    """Run one schema's tailer."""
    from scheduler.process import run_tailer

    config = configure(config_path, log_level, process="tailer")
    schemas = [each.name for each in streams(config, schema)]
    if all_schemas and schema is None:
        from warp.cli.fleet import supervise_tailers

        connected(config, None).close()
        supervise_tailers(config_path, schemas, log_level, metrics_port)
        return
    if len(schemas) != 1:
        raise ConfigurationError(
            f"a tailer serves one schema, and there are {len(schemas)}: {', '.join(schemas)}",
            remedy="choose one with --schema or SCHEMA, or run all of them with --all",
        )
    stop = Stop().install()
    connections = connected(config, metrics_port)
    try:
        run_tailer(config, schemas[0], connections, stop)
    finally:
        connections.close()


@click.command(epilog=epilog("cartridge-warp worker", "cartridge-warp worker --schema shop --metrics-port 9102"))
@config_option()
@schema_option()
@metrics_port_option()
@log_level_option()
def worker(config_path: Path | None, schema: str | None, metrics_port: int | None, log_level: str | None) -> None:
    """Run a worker."""
    from workers.process import run_worker

    config = configure(config_path, log_level, process="worker")
    streams(config, schema)
    stop = Stop().install()
    connections = connected(config, metrics_port)
    try:
        run_worker(config, schema, connections, stop)
    finally:
        connections.close()


@click.command(epilog=epilog("cartridge-warp scheduler", "cartridge-warp scheduler --metrics-port 9103"))
@config_option()
@schema_option()
@metrics_port_option()
@log_level_option()
def scheduler(config_path: Path | None, schema: str | None, metrics_port: int | None, log_level: str | None) -> None:
    """Run the scheduler."""
    from scheduler.process import run_scheduler

    config = configure(config_path, log_level, process="scheduler")
    streams(config, schema)
    stop = Stop().install()
    connections = connected(config, metrics_port)
    try:
        run_scheduler(config, schema, connections, stop)
    finally:
        connections.close()
