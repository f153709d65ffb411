"""The reconcile loop: a log that has entries and nobody at it gets a new wake-up.

A wake-up is lost with the worker that took it, or with Redis; the log says what there is to do. So a killed worker
costs seconds.
"""

from __future__ import annotations

from uuid import uuid4

from warp.change import Partition
from warp.metadata.base import Metadata
from warp.monitoring.logging import get_logger
from warp.transport.base import Logs, Wakeups, apply_wakeup


class Reconcile:
    """Looks after the logs of one schema. `tick` is harmless however often, and by however many, it is called."""

    def __init__(self, schema: str, metadata: Metadata, logs: Logs, wakeups: Wakeups) -> None:
        self._schema = schema
        self._metadata = metadata
        self._logs = logs
        self._wakeups = wakeups
        self._log = get_logger(__name__).bind(schema=schema)

    def tick(self) -> int:
        """One round; returns how many partitions got a new wake-up."""
        of = self._metadata.partitions(self._schema)
        waiting = [
            apply_wakeup(Partition(self._schema, table, number, of.get(table, number + 1)))
            for (table, number) in sorted(self._logs.backlog(self._schema))
        ]
        woken = self._wakeups.revive(waiting, uuid4().hex[:16]) if waiting else 0
        if woken:
            self._log.info("logs had nobody at them", woken=woken)
        return woken
