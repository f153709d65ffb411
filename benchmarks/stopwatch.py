"""Time and CPU seconds of one stretch of work, and how much of the machine went to work that is none of it."""

from __future__ import annotations

import os
import time

from benchmarks.measures import Rate, What
from benchmarks.rig import Rig
from benchmarks.usage import cpu_seconds, machine_cpu_seconds


class Stopwatch:
    """Runs from when it is made. The same processes of the fleet must run at the beginning and at the end."""

    def __init__(self, rig: Rig, *, client: int | None = None) -> None:
        """`client` is the id of the process that reads or writes beside the fleet, if one does."""
        self._rig = rig
        self._client = client
        self._before = self._cpu()
        self._machine = machine_cpu_seconds() - self._looking()
        self.started = time.monotonic()

    def rate(self, part: str, what: What, items: int, *, ended: float) -> Rate:
        """What was done until `ended`, by the monotonic clock; to be asked for at once."""
        spent = {name: seconds - self._before[name] for name, seconds in self._cpu().items()}
        machine = machine_cpu_seconds() - self._looking() - self._machine
        seconds = ended - self.started
        return Rate(
            part=part,
            what=what,
            items=items,
            seconds=seconds,
            cpu=spent,
            others=max(0.0, machine - sum(spent.values())) / seconds,
        )

    def _cpu(self) -> dict[str, float]:
        client = {} if self._client is None else {"client": cpu_seconds(self._client)}
        return {**self._rig.cpu(), **client}

    def _looking(self) -> float:
        """What watching the progress takes, where that is not the client's work itself."""
        return 0.0 if self._client == os.getpid() else cpu_seconds(os.getpid())
