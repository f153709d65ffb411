"""The group of commands: it finds a command without importing the others, and turns errors into exit codes."""

import logging
import os
import signal
import threading
import traceback
from importlib import import_module
from types import FrameType
from typing import Any, NamedTuple

import click

from warp import __version__
from warp.cli.exit_codes import epilog
from warp.errors import WarpError

_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class LazyCommand(NamedTuple):
    """Where a command is, and its short help: the first sentence of its docstring, which a test holds."""

    module: str
    attribute: str
    short_help: str
    serves: bool = False
    """It runs until SIGTERM: that is no failure, whenever it comes."""


COMMANDS = {
    "init": LazyCommand("warp.cli.configure", "init", "Write a commented configuration to start from"),
    "validate": LazyCommand("warp.cli.configure", "validate", "Check the configuration and say what it means"),
    "plan": LazyCommand("warp.cli.plan", "plan", "Say what the source's collections would become"),
    "migrate": LazyCommand("warp.cli.migrate", "migrate", "Create or update the metadata tables"),
    "run": LazyCommand("warp.cli.run", "run", "Run every process in the foreground, supervised"),
    "tailer": LazyCommand("warp.cli.processes", "tailer", "Run one schema's tailer", serves=True),
    "worker": LazyCommand("warp.cli.processes", "worker", "Run a worker", serves=True),
    "scheduler": LazyCommand("warp.cli.processes", "scheduler", "Run the scheduler", serves=True),
    "web": LazyCommand("warp.cli.web", "web", "Serve the RQ dashboard, health and metrics", serves=True),
    "status": LazyCommand("warp.cli.status", "status", "Say how every schema and table stands"),
    "schema": LazyCommand(
        "warp.cli.schema", "schema", "Show how tables took their shape, and what is not as it was made"
    ),
    "verify": LazyCommand("warp.cli.verify", "verify", "Compare every document of both sides"),
    "dlq": LazyCommand("warp.cli.dlq", "dlq", "Look at dead letters, replay or discard them"),
    "demo": LazyCommand("warp.cli.demo", "demo", "Mirror sample data on embedded servers, and verify it"),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that `--help` needs no driver."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        if entry.serves:
            _end_on_sigterm(ctx)
        command: click.Command = getattr(import_module(entry.module), entry.attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WarpError as error:
            _explain(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


def _end_on_sigterm(ctx: click.Context) -> None:
    """Until the command has a handler of its own: imports and configuration take a second, and nothing is begun yet."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGTERM, _end)

    def give_back() -> None:
        if signal.getsignal(signal.SIGTERM) is _end:
            signal.signal(signal.SIGTERM, before)

    ctx.call_on_close(give_back)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # no exception: an import may take one for a missing module


def _explain(error: WarpError) -> None:
    from warp.config import redact_text  # not at the top: start-up needs no pydantic
    from warp.monitoring.terminal import escaped

    lines = [f"error: {error}"]
    if error.remedy:
        lines.append(f"  remedy: {error.remedy}")
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        lines = [*traceback.format_exception(error), *lines]
    click.echo(escaped(redact_text("\n".join(line.rstrip("\n") for line in lines))), err=True)


@click.group(
    "cartridge-warp",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=epilog(
        "cartridge-warp demo",
        "cartridge-warp init && cartridge-warp validate",
        "cartridge-warp migrate && cartridge-warp run",
        exit_codes=True,
    ),
)
@click.version_option(__version__, prog_name="cartridge-warp")
def main() -> None:
    """Mirror live MongoDB databases into PostgreSQL, and keep them the same.

    Every change goes from the change stream through logs in Redis to a fleet of workers; each process is a command
    of its own, and `run` is all of them.
    """
