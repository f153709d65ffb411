"""One server process: launched so that it dies with us, watched until it is ready, ended by its handle.

Knows nothing of what the server serves; see the modules named after the servers.
"""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from warp.children import start_child
from warp.embedded.binaries import missing_library
from warp.errors import EmbeddedUnavailable

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02
_PORT_ATTEMPTS: Final = 5
_LOG_LINES: Final = 15
_LOG_LINE_LENGTH: Final = 300


class StartFailed(EmbeddedUnavailable):
    """An embedded server did not start."""


class PortTaken(StartFailed):
    """Somebody else took the port between its choice and its use."""


class ServerProcess:
    """A child process in its own session (a Ctrl-C in the terminal does not reach it), its output appended to `log`."""

    def __init__(
        self, name: str, log: Path, *, death_signal: signal.Signals = signal.SIGKILL, user: str | None = None
    ) -> None:
        """`death_signal` is what the kernel sends it when we die, `user` whom to run it as, which takes being root."""
        self.name = name
        self.log = log
        self._death_signal = death_signal
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id, None when it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def launch(self, command: Sequence[str | Path]) -> None:
        """Start `command`, whose first word is an absolute path, without waiting for it to be ready."""
        if self.pid is not None:
            raise RuntimeError(f"{self.name} is running already")
        self.log.touch()
        self._log_start = self.log.stat().st_size
        with self.log.open("ab") as output:
            self._process = start_child(
                command,
                output=output,
                cwd=self.log.parent,
                environment=_environment(),
                death_signal=self._death_signal,
                user=self._user,
            )

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Return once `ready()` is true; it must make sure that it is this process that answers.

        Raises PortTaken or StartFailed, with the end of the log, if the process ends or START_SECONDS pass first.
        """
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.pid is None:
                raise self._failure(f"ended at once with {self._exit_status()}")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"was not ready after {START_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def wait_done(self) -> None:
        """Wait for a command that ends by itself. Raises StartFailed if it fails, or takes over START_SECONDS."""
        if self._process is None:
            return
        try:
            status = self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._failure(f"was not done after {START_SECONDS:.0f} seconds") from None
        if status != 0:
            raise self._failure(f"failed with {self._exit_status()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it with the signal `how`, with SIGKILL if it is still there after STOP_SECONDS, and wait for its end."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _exit_status(self) -> str:
        status = self._process.returncode if self._process is not None else None
        return f"signal {-status}" if status is not None and status < 0 else f"status {status}"

    def _failure(self, what: str) -> EmbeddedUnavailable:
        with self.log.open(errors="replace") as log:
            log.seek(self._log_start)
            output = log.read()
        if missing := missing_library(output):
            return missing
        failure = PortTaken if "Address already in use" in output else StartFailed
        lines = [f"  {line[:_LOG_LINE_LENGTH]}" for line in _telling(output.splitlines())[-_LOG_LINES:]]
        return failure("\n".join([f"{self.name} {what}; from the end of its log {self.log}:", *lines]))


def start_on_free_port(start: Callable[[int], None]) -> int:
    """Call `start` with a port, again with another one while it raises PortTaken; the port it started on."""
    for _ in range(_PORT_ATTEMPTS - 1):
        port = _free_port()
        try:
            start(port)
        except PortTaken:
            continue
        return port
    port = _free_port()
    start(port)
    return port


def listening(port: int) -> bool:
    """Whether anybody accepts connections on the port of 127.0.0.1."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _telling(lines: list[str]) -> list[str]:
    """The lines that may say what went wrong: mongod follows them with a great many of severity "I"."""
    return [line for line in lines if '"s":"I"' not in line] or lines


def _free_port() -> int:
    """A port nobody listens on, below those the kernel gives to outgoing connections.

    A port of the kernel's range could be taken by any client while its server is down for a restart, even by the
    very client that tries to reconnect to it.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = random.sample(range(10_000, ephemeral), 20) if ephemeral > 12_000 else []
    for port in [*candidates, 0]:
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmbeddedUnavailable("this machine has no free port left on 127.0.0.1")


def _environment() -> dict[str, str]:
    """What a server needs of our environment: no secrets, no PG… or other settings of ours, messages in English."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
