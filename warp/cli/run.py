"""`cartridge-warp run`: every process of a fleet on one machine, in the foreground."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option, metrics_port_option, schema_option, streams
from warp.config import Config
from warp.connections import Connections, open_connections
from warp.errors import ExitCode, WarpError
from warp.fleet import Fleet, dashboard_installed
from warp.monitoring.display import display
from warp.monitoring.logging import get_logger
from warp.monitoring.progress import Watch
from warp.process import Stop
from warp.retry import PASSING
from warp.supervisor import SUPERVISOR_END_SECONDS, Supervisor, supervised

_LOOK_SECONDS = 0.25
_MOST_WORKERS = 2


@click.command(
    epilog=epilog(
        "cartridge-warp run --dry-run",
        "cartridge-warp run --workers 4 --metrics-port 9100",
        "cartridge-warp run --schema shop --until-caught-up",
        exit_codes=True,
    )
)
@config_option()
@schema_option()
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=lambda: min(_MOST_WORKERS, os.cpu_count() or 1),
    metavar="N",
    help="How many workers.  [default: one for each core, at most 2]",
)
@click.option("--no-web", is_flag=True, help="Without the dashboard (which needs the extra `dashboard`).")
@click.option("--until-caught-up", is_flag=True, help="Load, catch up with what the source has now, and exit.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Say what would be created and copied; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print one JSON object.")
@metrics_port_option()
@log_level_option()
def run(
    config_path: Path | None,
    schema: str | None,
    workers: int,
    no_web: bool,
    until_caught_up: bool,
    is_dry_run: bool,
    as_json: bool,
    metrics_port: int | None,
    log_level: str | None,
) -> None:
    """Run every process in the foreground, supervised.

    First the metadata tables are made or updated; then a tailer for each schema, the workers, the scheduler and the
    dashboard are kept running until SIGTERM or Ctrl-C. --until-caught-up goes without the dashboard. With
    --metrics-port the tailers, workers and the scheduler serve metrics on consecutive ports, in that order.
    """
    if as_json and not is_dry_run:
        raise click.UsageError("--json goes with --dry-run.")
    config = configure(config_path, log_level, process="run")
    schemas = streams(config, schema)
    if is_dry_run:
        from warp.cli.dry_run import dry_run

        dry_run(config, schemas, as_json=as_json)
        return
    fleet = Fleet(
        schemas=[each.name for each in schemas],
        config_path=config_path,
        only=schema,
        workers=workers,
        scheduler=True,
        web=not no_web and not until_caught_up and dashboard_installed(),
        metrics_port=metrics_port,
        log_level=log_level,
        log_format=_log_format(config) if until_caught_up else None,
    )
    # Who waits for it to be caught up must not take an end before that for it.
    unfinished = ExitCode.FAILED if until_caught_up else ExitCode.DONE
    stop = Stop().install(within=SUPERVISOR_END_SECONDS, status=unfinished)
    supervisor = Supervisor(fleet.programs())
    connections = open_connections(config)
    try:
        connections.destination.migrate()
        connections.check()
        if until_caught_up:
            _catch_up(supervisor, config, fleet.schemas, connections, stop)
            return
    except WarpError as error:
        if until_caught_up or not stop.is_set():
            raise
        get_logger(__name__).info("stopped while something failed", reason=str(error))
        return
    finally:
        connections.close()
    get_logger(__name__).info("running", programs=[program.name for program in fleet.programs()])
    supervisor.run(stop)


def _log_format(config: Config) -> str | None:
    """What `auto` means on a terminal, which children do not see behind the display."""
    return "console" if config.monitoring.log_format == "auto" and sys.stderr.isatty() else None


def _catch_up(
    supervisor: Supervisor, config: Config, schemas: Sequence[str], connections: Connections, stop: Stop
) -> None:
    ts = connections.source.now()
    began = time.monotonic()
    watch = Watch(schemas, connections.source, connections.destination.metadata, connections.logs)
    with display(sys.stderr) as shown, supervised(supervisor) as check:
        while not stop.wait(_LOOK_SECONDS):
            check()
            try:
                # First: when the last of them is planned to be read, its load is open, and is seen then.
                unread = _includes_unread(config, schemas, connections)
                progress = watch.observe(time.monotonic())
            except PASSING as error:
                get_logger(__name__).warning("cannot look", reason=str(error))
                continue
            shown.show(progress)
            if progress.caught_up(ts) and not unread:
                break
        else:
            raise WarpError("stopped before everything was caught up")
    seconds = time.monotonic() - began
    click.echo(
        f"caught up: {progress.loaded:,} documents loaded and {progress.applied:,} changes applied so far, "
        f"in {seconds:.1f} s",
        err=True,
    )
    if progress.letters:
        click.echo(f"{progress.letters:,} changes could not be applied: see cartridge-warp dlq list", err=True)


def _includes_unread(config: Config, schemas: Sequence[str], connections: Connections) -> bool:
    """Whether a table is included by now that was excluded when a tailer last looked."""
    excluded = connections.destination.metadata.excluded
    return any(config.mirrors(schema, table) for schema in schemas for table in excluded(schema))
