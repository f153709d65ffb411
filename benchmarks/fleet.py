"""The processes that are measured: tailer, workers and scheduler as `cartridge-warp` starts them, ended by handle."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import rq

from benchmarks.usage import cpu_seconds, peak_memory
from warp.embedded.process import ServerProcess
from warp.errors import WarpError
from warp.transport import keys

START_SECONDS = 60.0
_POLL_SECONDS = 0.005
_LOG_LINES = 10
_COMMAND = Path(sys.executable).with_name("cartridge-warp")


class FleetFailed(WarpError):
    """A process of the fleet ended, or did not do its work in time."""


class Fleet:
    """A tailer, a scheduler and workers of one schema, with their logs in `directory`."""

    def __init__(self, directory: Path, config: Path, schema: str, workers: int, client: redis.Redis) -> None:
        self._config = config
        self._schema = schema
        self._workers = [f"worker {number}" for number in range(1, workers + 1)]
        self._client = client
        self._processes = {
            name: ServerProcess(name, directory / f"{name.replace(' ', '-')}.log")
            for name in ("tailer", *self._workers, "scheduler")
        }
        self._launched: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """The fleet at work: on the way in, all that follows the tailer stands ready and it has just begun."""
        try:
            for name in ("scheduler", *self._workers):
                self._launch(name)
            self._wait_until(lambda: rq.Worker.count(connection=self._client) == len(self._workers))
            self._launch("tailer", "--schema", self._schema)
            self._wait_until(lambda: bool(self._client.exists(keys.tailer_lease(self._schema))))
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """End all of them; the tailer, which comes first, saves its checkpoint."""
        for process in self._processes.values():
            process.stop()
        self._launched.clear()

    def check(self) -> None:
        """Raises FleetFailed, with the end of its log, if a process that was launched has ended."""
        for name in self._launched:
            process = self._processes[name]
            if process.pid is None:
                raise FleetFailed(f"the {name} ended; from the end of its log:\n{_end(process.log)}")

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each process that runs."""
        return {name: cpu_seconds(process.pid) for name, process in self._processes.items() if process.pid}

    def peak_memory(self) -> dict[str, int]:
        """The most bytes that each process that runs has had resident."""
        return {name: peak_memory(process.pid) for name, process in self._processes.items() if process.pid}

    def _launch(self, name: str, *options: str) -> None:
        command = name.partition(" ")[0]
        self._processes[name].launch([_COMMAND, command, "--config", self._config, *options])
        self._launched.append(name)

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise FleetFailed(f"the fleet was not ready after {START_SECONDS:.0f} seconds")
            self.check()
            time.sleep(_POLL_SECONDS)


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
