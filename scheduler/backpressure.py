"""When the tailer must stop reading: a schema's logs are full, and the source's history is the buffer from there on."""

from __future__ import annotations

from collections.abc import Collection

from warp.transport.base import Logs

MEMORY_SHARE = 0.5
"""Of Redis's memory, for the logs of all schemas: queues and whatever else is there must go on when they are full."""


class Backpressure:
    """The logs of one schema, and how much they may hold."""

    def __init__(self, schema: str, logs: Logs, *, high_water_mark: int, share: float) -> None:
        """`high_water_mark` in bytes; `share` of what Redis may hold, if that is less."""
        self._schema = schema
        self._logs = logs
        self._high_water_mark = high_water_mark
        self._share = share
        self._most = high_water_mark
        self.bytes = 0
        """What the logs hold, those of blocked tables aside, to which nothing is added."""

    def measure(self, blocked: Collection[str]) -> None:
        """Ask what the logs hold, and what Redis may."""
        backlog = self._logs.backlog(self._schema)
        self.bytes = sum(log.bytes for (table, _), log in backlog.items() if table not in blocked)
        capacity = self._logs.capacity()
        self._most = self._high_water_mark
        if capacity is not None:
            self._most = min(self._most, int(capacity * self._share))

    def sent(self, size: int) -> None:
        """So many bytes more are there."""
        self.bytes += size

    @property
    def reached(self) -> bool:
        """Whether nothing more may be sent."""
        return self.bytes >= self._most
