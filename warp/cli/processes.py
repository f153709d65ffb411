"""`tailer`, `worker`, `scheduler` and `web`: one process each, as a Procfile runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, metrics_port_option, schema_option, streams
from warp.config import Config
from warp.connections import Connections, open_connections
from warp.errors import ConfigurationError, WarpError
from warp.monitoring.logging import get_logger
from warp.monitoring.metrics import serve_metrics
from warp.process import Stop


def check(config: Config) -> None:
    """Reach every server once. Raises what `Connections.check` does."""
    connections = open_connections(config)
    try:
        connections.check()
    finally:
        connections.close()


def serve(config: Config, metrics_port: int | None, work: Callable[[Connections, Stop], None]) -> None:
    """Reach every server, serve metrics, and work until told to stop; what is away at the stop is no failure."""
    stop = Stop().install()
    connections = open_connections(config)
    try:
        connections.check()
        serve_metrics(metrics_port, config.web.host)
        work(connections, stop)
    except WarpError as error:
        if not stop.is_set():
            raise
        get_logger(__name__).info("stopped while something failed", reason=str(error))
    finally:
        connections.close()


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

        check(config)
        supervise_tailers(config_path, schemas, log_level, metrics_port)
        return
    if len(schemas) != 1:
        raise ConfigurationError(
            f"a tailer serves one schema, and there are {len(schemas)}: {', '.join(schemas)}",
            remedy="choose one with --schema or SCHEMA, or run all of them with --all",
        )
    serve(config, metrics_port, lambda connections, stop: run_tailer(config, schemas[0], connections, stop))


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
    serve(config, metrics_port, lambda connections, stop: run_worker(config, schema, connections, stop))


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
    serve(config, metrics_port, lambda connections, stop: run_scheduler(config, schema, connections, stop))
