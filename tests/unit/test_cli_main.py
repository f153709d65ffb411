"""The front door: what `--help` shows and imports, and how errors end a command."""

import errno
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

from warp import __version__
from warp.cli import main
from warp.cli.main import COMMANDS, LazyCommand
from warp.errors import ConfigurationError, DifferencesFound, ExitCode, ServerUnreachable, WarpError

SECRET = "hunter2"


@pytest.fixture
def at_debug() -> Iterator[None]:
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    yield
    logging.getLogger().setLevel(level)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="cartridge-warp")


def run_raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run a command that raises `error`."""

    @click.command
    def broken() -> None:
        raise error

    module = ModuleType("a_module_for_this_test")
    module.broken = broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "broken", LazyCommand(module.__name__, "broken", ""))
    return run("broken")


_TERMINATED_AT_IMPORT = """
import os, signal, sys
from warp.cli.main import main
class Finder:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
main(sys.argv[2:])
"""


@pytest.mark.parametrize("command", ["tailer", "worker", "scheduler", "web"])
def test_sigterm_while_a_process_is_being_imported_is_no_failure(command: str) -> None:
    """There is nothing yet that could end in order."""
    assert _terminated_at_import(command) == 0


def test_sigterm_ends_what_was_to_come_to_an_end_by_itself_as_ever() -> None:
    assert _terminated_at_import("verify") == -signal.SIGTERM


def _terminated_at_import(command: str) -> int:
    arguments = [sys.executable, "-c", _TERMINATED_AT_IMPORT, COMMANDS[command].module, command]
    return subprocess.run(arguments, check=False).returncode


def test_the_handlers_of_the_caller_are_left_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run("worker", "--help").exit_code == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_help_lists_every_command_and_names_the_exit_codes() -> None:
    for flag in ("-h", "--help"):
        shown = run(flag)
        assert shown.exit_code == 0
        assert all(f"  {name}" in shown.output and entry.short_help in shown.output for name, entry in COMMANDS.items())
        assert all(f"    {code.value}  {code.meaning}\n" in shown.output for code in ExitCode)


@pytest.mark.parametrize("command", ["run", "verify", "validate"])
def test_help_of_a_command_names_the_exit_codes_too(command: str) -> None:
    shown = run(command, "-h").output

    assert all(f"    {code.value}  {code.meaning}\n" in shown for code in ExitCode)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_is_what_the_command_says_of_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert command.get_short_help_str(limit=200).removesuffix(".") == COMMANDS[name].short_help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_examples_of_itself(name: str) -> None:
    shown = run(name, "--help")

    assert shown.exit_code == 0
    assert f"Examples:\n    cartridge-warp {name}" in shown.output


def test_help_imports_no_driver_and_nothing_slow() -> None:
    script = (
        "import sys; from warp.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'pymongo', 'bson', 'psycopg', 'redis', 'rq', 'pydantic', 'rich', 'structlog'}\n"
        "sys.exit(str(slow & sys.modules.keys()) if slow & sys.modules.keys() else 0)"
    )
    root = Path(__file__).parents[2]

    finished = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)

    assert finished.returncode == 0, finished.stderr


def test_the_version() -> None:
    assert run("--version").output == f"cartridge-warp, version {__version__}\n"


def test_a_command_that_does_not_exist() -> None:
    assert run("mirror").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (WarpError("it broke", remedy="mend it"), 1, "error: it broke\n  remedy: mend it\n"),
        (WarpError(), 1, "error: Something cartridge-warp can explain.\n"),
        (ConfigurationError("wrong:", problems=["a", "b"]), 2, "error: wrong:\n  a\n  b\n"),
        (DifferencesFound(), 3, "error: Source and target differ.\n"),
        (
            ServerUnreachable("Redis", "cache:6379", "Error 111:\n  refused"),
            4,
            "error: Redis at cache:6379 cannot be reached: Error 111: refused\n",
        ),
        (WarpError(f"at redis://:{SECRET}@h/0"), 1, "error: at redis://***@h/0\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
    ],
)
def test_how_an_error_ends_a_command(
    error: BaseException, code: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_raising(error, monkeypatch)

    assert (result.exit_code, result.stderr, result.stdout) == (code, shown, "")


@pytest.mark.usefixtures("at_debug")
def test_at_debug_level_an_error_comes_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    error = WarpError("it broke")
    error.__cause__ = OSError(f"redis://:{SECRET}@h/0 hung up")

    shown = run_raising(error, monkeypatch).stderr

    assert "OSError: redis://***@h/0 hung up\n" in shown
    assert "Traceback (most recent call last):" in shown
    assert shown.endswith("\nerror: it broke\n")
