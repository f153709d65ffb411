"""Starting child processes that cannot outlive us, `kill -9` included. Watching and ending them is left to others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

_LAUNCH_SCRIPT: Final = Path(__file__).parent / "embedded" / "launch.py"
_PACKAGES: Final = Path(__file__).parents[1]

# The kernel sends the death signal when the *thread* that made the process ends (prctl(2)), so that all of them are
# made by one thread that lives as long as the interpreter.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-launcher")


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours, to be given `module_environment`."""
    # Without -P a file in the working directory could stand in for a module.
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """What to add to the environment so that a checkout runs its own modules, whatever is installed."""
    if not (_PACKAGES / "pyproject.toml").exists():
        return {}
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{_PACKAGES}{os.pathsep}{inherited}" if inherited else str(_PACKAGES)}


def start_child(
    command: Sequence[str | Path],
    *,
    output: BinaryIO | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command`, whose first word is an absolute path, in a session of its own: no Ctrl-C reaches it.

    `output` takes its stdout and stderr, `environment` is all of its environment; both are ours if None.
    `death_signal` is what the kernel sends it when we die; `user` whom to run it as, which takes being root.
    """
    words: list[str | Path] = [sys.executable, "-I", "-S", _LAUNCH_SCRIPT, str(os.getpid())]
    words += [str(int(death_signal)), user or "-", *command]
    return _launcher.submit(
        lambda: subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
    ).result()
