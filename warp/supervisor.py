"""A supervisor of child processes: it starts them, starts them again when they end, and ends them with itself.

What the children do is not its business; which there are, and with which options, stands in `warp.cli.fleet`.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from warp.children import start_child
from warp.errors import ConfigurationError, ExitCode
from warp.monitoring.logging import get_logger
from warp.process import Stop
from warp.retry import backoff

TICK_SECONDS = 0.1
STOP_SECONDS = 8.0
"""How long children have for an orderly end before SIGKILL: longer than each gives itself (END_SECONDS)."""
SUPERVISOR_END_SECONDS = 9.0
"""How long a process that supervises others has for its own end."""
STEADY_SECONDS = 30.0
"""A child that has run this long was well: its next restart does not wait for the failures of long ago."""
REFUSALS = 5
"""So many ends with a configuration error within STEADY_SECONDS end everything: no restart changes a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One child to be kept running."""

    name: str
    command: Sequence[str]
    """Its first word is an absolute path."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it has besides our own environment."""
    log: Path | None = None
    """The file its output is appended to; None: it has our stdout and stderr."""


class _Child:
    """A program, and the process that runs it, if one does."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.start_at = 0.0
        self.waits = backoff()
        self.refusals: deque[float] = deque(maxlen=REFUSALS)

    def start(self) -> None:
        if self.program.log is None:
            self.process = self._start(None)
        else:
            with self.program.log.open("ab") as output:
                self.process = self._start(output)

    def _start(self, output: BinaryIO | None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.program.environment}
        return start_child(self.program.command, output=output, environment=environment)


class Supervisor:
    """Keeps programs running. `tick` does one round and never blocks."""

    def __init__(self, programs: Sequence[Program], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds, only ever growing."""
        self._children = [_Child(program) for program in programs]
        self._clock = clock
        self._log = get_logger(__name__)

    def run(self, stop: Stop) -> None:
        """Keep the programs running until told to stop, then end them.

        Raises ConfigurationError where a program cannot run with the configuration that there is.
        """
        try:
            while not stop.is_set():
                self.tick()
                stop.wait(TICK_SECONDS)
        finally:
            self.stop()

    def tick(self) -> None:
        """Start what is due, and see what has ended. Raises as `run` does."""
        now = self._clock()
        for child in self._children:
            if child.process is not None and (status := child.process.poll()) is not None:
                self._ended(child, status, now)
            if child.process is None and now >= child.start_at:
                child.start()
                child.started = now
                self._log.debug("started", program=child.program.name)

    def pids(self) -> dict[str, int | None]:
        """The process id of each program, None for one that waits for its restart."""
        return {child.program.name: child.process.pid if child.process else None for child in self._children}

    def stop(self) -> None:
        """End all children: SIGTERM, and SIGKILL for what is left after STOP_SECONDS."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            child.process = None

    def _ended(self, child: _Child, status: int, now: float) -> None:
        child.process = None
        if now - child.started >= STEADY_SECONDS:
            child.waits = backoff()
        wait = next(child.waits)
        child.start_at = now + wait
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        self._log.warning("ended, will be started again", program=child.program.name, how=how, seconds=round(wait, 1))
        if status == ExitCode.USAGE:
            child.refusals.append(now)
            if len(child.refusals) == REFUSALS and now - child.refusals[0] <= STEADY_SECONDS:
                raise ConfigurationError(
                    f"{child.program.name} ended {REFUSALS} times with exit code {status} ({ExitCode.USAGE.meaning})",
                    remedy=f"see what it says in {child.program.log or 'the lines above'}",
                )


@contextmanager
def supervised(supervisor: Supervisor) -> Iterator[Callable[[], None]]:
    """Run a supervisor beside the block, and end it with the block.

    What is handed out raises, when it is called, what ended the supervisor before its time.
    """
    stop = Stop()
    failure: list[Exception] = []

    def run() -> None:
        try:
            supervisor.run(stop)
        except Exception as error:
            failure.append(error)

    def check() -> None:
        if failure:
            raise failure[0]

    thread = threading.Thread(target=run, name="supervisor")
    thread.start()
    try:
        yield check
    finally:
        stop.set()
        thread.join()
