"""Real `cartridge-warp` processes of one test: started, watched, frozen, killed and ended, each by its own handle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.wait import eventually
from warp.embedded import launch

COMMAND = Path(sys.executable).with_name("cartridge-warp")
STOP_SECONDS = 15.0
_LOG_TAIL = 6_000


class Process:
    """One process, its output appended to `log`. It dies with the test process."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.log = log
        self._popen = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        becoming = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signal.SIGKILL)), "-"]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [*becoming, str(COMMAND), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended, frozen or not."""
        return self._popen.poll() is None

    def wait(self, deadline: float = STOP_SECONDS) -> int:
        """Wait for it to end by itself; its exit code, negative for a signal."""
        return self._popen.wait(deadline)

    def terminate(self, deadline: float = STOP_SECONDS) -> int:
        """SIGTERM, as a supervisor would; its exit code. Raises TimeoutExpired where it does not obey."""
        self._popen.terminate()
        return self._popen.wait(deadline)

    def kill(self) -> None:
        """`kill -9`."""
        self._popen.kill()
        self._popen.wait()

    def freeze(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        self._popen.send_signal(signal.SIGSTOP)
        eventually(lambda: self._state() == "T", what=f"{self.name} frozen")

    def thaw(self) -> None:
        """SIGCONT."""
        self._popen.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start the same command again after its end, as a supervisor would."""
        assert not self.running
        self._popen = self._launch()

    def ask_to_end(self) -> None:
        """SIGTERM, without waiting, whatever state it is in."""
        if self.running:
            self.thaw()
            self._popen.terminate()

    def end(self) -> None:
        """Wait for its end, and help where it does not come by itself."""
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.kill()

    def peak_bytes(self) -> int:
        """The most memory it has had resident so far (VmHWM, proc(5))."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024

    def output(self) -> str:
        """All it has written so far, over its restarts."""
        return self.log.read_text(errors="replace")

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


class Fleet:
    """The processes of one test, on one configuration."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.processes: list[Process] = []

    def start(self, config: Path, *arguments: str, name: str | None = None) -> Process:
        """Start `cartridge-warp ARGUMENTS --config CONFIG`."""
        name = name or f"{arguments[0]}-{len(self.processes) + 1}"
        command = [arguments[0], "--config", str(config), *arguments[1:]]
        process = Process(name, command, self._directory / f"{name}.log")
        self.processes.append(process)
        return process

    def tailer(self, config: Path, schema: str) -> Process:
        """Start a tailer of a schema."""
        return self.start(config, "tailer", "--schema", schema)

    def worker(self, config: Path) -> Process:
        """Start a worker of all schemas."""
        return self.start(config, "worker")

    def scheduler(self, config: Path) -> Process:
        """Start a scheduler of all schemas."""
        return self.start(config, "scheduler")

    def run(self, config: Path, *arguments: str, deadline: float = 60.0) -> tuple[int, str]:
        """Run a command to its end; its exit code, and what it wrote."""
        process = self.start(config, *arguments)
        return process.wait(deadline), process.output()

    def logs(self) -> list[tuple[str, str]]:
        """Each process's name and the end of its log."""
        return [(process.name, process.output()[-_LOG_TAIL:]) for process in self.processes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.ask_to_end()
        for process in self.processes:
            process.end()
