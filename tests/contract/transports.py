"""The transports under test, seen as a worker sees them."""

from __future__ import annotations

from typing import Protocol

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from warp.change import TableRef
from warp.testing import MemoryBroker, MemoryLogs, MemoryWakeups
from warp.transport import keys
from warp.transport.base import Logs, Wakeup, Wakeups
from warp.transport.jobs import PATHS
from warp.transport.logs import RedisLogs
from warp.transport.wakeups import RedisWakeups


class TransportBench(Protocol):
    """Logs, wake-ups, and what a worker and a clock do with them."""

    @property
    def logs(self) -> Logs:
        """The logs."""

    @property
    def wakeups(self) -> Wakeups:
        """The wake-ups."""

    def take(self) -> tuple[Wakeup, str] | None:
        """The next wake-up off a queue, and its correlation id."""

    def let_leases_lapse(self) -> None:
        """Let as much time pass as a worker's lease lasts."""

    def lose_everything(self) -> None:
        """Empty it."""


class MemoryTransport:
    """The in-memory broker, under a clock of its own."""

    def __init__(self) -> None:
        self._now = 0.0
        self._broker = MemoryBroker(clock=lambda: self._now)
        self.logs = MemoryLogs(self._broker)
        self.wakeups = MemoryWakeups(self._broker)

    def take(self) -> tuple[Wakeup, str] | None:
        return self.wakeups.take()

    def let_leases_lapse(self) -> None:
        self._now += keys.LEASE_SECONDS

    def lose_everything(self) -> None:
        self._broker.flush()


class RedisTransport:
    """A logical database of a Redis server."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.logs = RedisLogs(client, "redis")
        self.wakeups = RedisWakeups(client, "redis")

    def take(self) -> tuple[Wakeup, str] | None:
        queues = sorted(Queue.all(connection=self._client, serializer=JSONSerializer), key=lambda queue: queue.name)
        found = Queue.dequeue_any(queues, timeout=None, connection=self._client, serializer=JSONSerializer)
        if found is None:
            return None
        job, _ = found
        schema, table, number, of, correlation_id = job.args
        (kind,) = (kind for kind, path in PATHS.items() if path == job.func_name)
        return Wakeup(kind, TableRef(schema, table), number, of), correlation_id

    def let_leases_lapse(self) -> None:
        for key in self._client.scan_iter("warp:scheduled:*"):
            left = self._client.pttl(key)
            if 0 < left <= keys.LEASE_SECONDS * 1000:
                self._client.delete(key)

    def lose_everything(self) -> None:
        self._client.flushdb()
