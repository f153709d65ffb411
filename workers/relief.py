"""Draining logs without wake-ups, while Redis has no memory for them: what is drained gives it memory back.

Otherwise logs that fill Redis would keep away those who could empty them.
"""

from __future__ import annotations

from collections.abc import Sequence

from warp.change import Partition
from warp.errors import WarpError
from warp.metadata.base import Metadata
from warp.monitoring.failures import Failures
from warp.process import Stop
from warp.transport.base import Logs
from workers.apply import Applier, Outcome


class Relief:
    """Takes no lease: whoever else is at a partition has its marker locked."""

    def __init__(self, schemas: Sequence[str], applier: Applier, logs: Logs, metadata: Metadata, *, stop: Stop) -> None:
        self._schemas = schemas
        self._applier = applier
        self._logs = logs
        self._metadata = metadata
        self._failures = Failures(metadata)
        self._stop = stop

    def __call__(self) -> int:
        """Do one step for each log that is not empty; returns how many of them got on."""
        return sum(map(self._relieve, self._schemas))

    def _relieve(self, schema: str) -> int:
        try:
            of, blocked = self._metadata.partitions(schema), self._metadata.blocked(schema)
            waiting = [
                Partition(schema, table, number, of[table])
                for table, number in sorted(self._logs.backlog(schema))
                if table in of and table not in blocked
            ]
        except WarpError as error:
            self._failures.note(error, schema, None, None)
            return 0
        return sum(self._step(partition) for partition in waiting if not self._stop.is_set())

    def _step(self, partition: Partition) -> bool:
        try:
            return self._applier.step(partition) is Outcome.APPLIED
        except WarpError as error:
            self._failures.note(error, partition.schema, partition.table, None)
            return False
