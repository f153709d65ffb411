"""`cartridge-warp demo`: see it work, without servers and without a configuration."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from warp.cli.exit_codes import epilog
from warp.demo.demonstration import WORKERS, Demonstration
from warp.demo.fill import Data, Files, Shop
from warp.demo.summary import Outcome, summary
from warp.embedded import EmbeddedServers
from warp.errors import ConfigurationError, DifferencesFound, EmbeddedUnavailable
from warp.monitoring.logging import configure_logging

_DOCUMENTS = 100_000
_SEED = 2024
_LOG_LINES = 12
_WIDTH = 110
_LOG_LINE_LENGTH = 300


@click.command(
    epilog=epilog(
        "cartridge-warp demo",
        "cartridge-warp demo --documents 1000000 --seconds 60",
        "cartridge-warp demo --data exported/ --keep",
        exit_codes=True,
    )
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Mirror DIR's Extended JSON instead: NAME.json or NAME.json.gz, one document a line, are collection NAME.",
)
@click.option(
    "--documents", type=click.IntRange(10, 50_000_000), metavar="N", help="How large the shop is.  [default: 100000]"
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.0),
    default=20.0,
    show_default=True,
    metavar="N",
    help="How long the writer goes on after the first load.",
)
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C, to look at it.")
def demo(data: Path | None, documents: int | None, seconds: float, keep: bool) -> None:
    """Mirror sample data on embedded servers, and verify it.

    Throwaway MongoDB, Redis and PostgreSQL servers start in a temporary directory, a made-up shop is put into
    MongoDB, and the real processes mirror it into PostgreSQL while a writer goes on changing it. In the end every
    document is compared. Nothing is left behind.
    """
    if data is not None and documents is not None:
        raise click.UsageError("--documents is about the made-up shop, which --data replaces.")
    _forget_configuration()
    _end_on_signals()
    configure_logging("WARNING", "auto", process="demo")
    chosen: Data = Files(data) if data is not None else Shop(documents or _DOCUMENTS, _SEED)
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH)
    introduction = _INTRODUCTION.format(what=chosen.what, seconds=seconds, workers=WORKERS)
    console.print(introduction, markup=False, soft_wrap=False)
    with _logs() as logs:
        demonstration = Demonstration(chosen, seconds=seconds, seed=_SEED, logs=logs, console=console)

        def afterwards(servers: EmbeddedServers, outcome: Outcome) -> None:
            console.print()
            console.print(summary(outcome))
            if keep:
                _wait(servers, chosen.database, logs, console)

        outcome = demonstration.run(afterwards)
        if outcome.differences:
            raise DifferencesFound(f"documents that differ: {outcome.differences:,}")


_INTRODUCTION = (
    "cartridge-warp mirrors MongoDB into PostgreSQL. This shows it at work, on throwaway servers in a temporary "
    "directory: a tailer, {workers} workers and a scheduler, the real processes, copy {what} from MongoDB into "
    "PostgreSQL, while a writer goes on changing documents, then and for {seconds:.0f} seconds more. In the end every "
    "document is compared with its row.\n"
)


def _forget_configuration() -> None:
    """The processes of the demonstration must not take somebody's real servers from the environment."""
    for name in [name for name in os.environ if name.startswith("CARTRIDGE_WARP_") or name in ("PORT", "SCHEMA")]:
        del os.environ[name]


def _end_on_signals() -> None:
    """The first SIGINT or SIGTERM ends the demonstration; what comes after must not disturb its clearing up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


@contextmanager
def _logs() -> Iterator[Path]:
    """A directory for logs, which stays, with the ends of the logs shown, when something has failed."""
    directory = Path(tempfile.mkdtemp(prefix="cartridge-warp-demo-logs-"))
    try:
        yield directory
    except (ConfigurationError, EmbeddedUnavailable):
        shutil.rmtree(directory)
        raise
    except KeyboardInterrupt:
        shutil.rmtree(directory)
        click.echo("\nInterrupted: every process has been ended, and nothing is left behind.", err=True)
        raise
    except Exception:
        _show_ends(directory)
        raise
    shutil.rmtree(directory)


def _show_ends(directory: Path) -> None:
    for log in sorted(directory.iterdir()):
        lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        click.echo("\n".join([f"--- {log}", *(line[:_LOG_LINE_LENGTH] for line in lines)]), err=True)
    click.echo(f"The logs are kept in {directory}", err=True)


def _wait(servers: EmbeddedServers, database: str, logs: Path, console: Console) -> None:
    mongodb = servers.mongodb.uri.replace("/?", f"/{database}?")
    console.print(
        f"""
Everything goes on running; what is written to MongoDB now appears in PostgreSQL. Ctrl-C ends it all.
  mongosh '{mongodb}'
  psql '{servers.postgresql.dsn}'   (the tables are in the schema {database})
  redis-cli -u {servers.redis.url}
  cartridge-warp status --config {servers.directory}/cartridge-warp.yaml
  tail -f {logs}/*.log"""
    )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
