"""The RQ worker: no fork for each job, queues of tables that appear later, and turns among all of them."""

from __future__ import annotations

import time
from typing import Any, cast

import redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.worker_registration import register

from warp.process import Collector
from warp.transport import keys

LOOK_SECONDS = 1
"""How often the worker looks for new queues while it has nothing to do."""


class NoDeathPenalty(BaseDeathPenalty):
    """A step is never cut by an alarm in the middle of a commit: it is bounded by its own turn and time-outs."""

    def setup_death_penalty(self) -> None:
        """No alarm."""

    def cancel_death_penalty(self) -> None:
        """None to cancel."""


class Worker(SimpleWorker):
    """Serves every queue of this project, or of one schema, that there is at the time."""

    death_penalty_class = NoDeathPenalty

    def __init__(self, connection: redis.Redis, schema: str | None, name: str | None = None) -> None:
        self._schema = schema
        self._collector = Collector()
        self._next_look = 0.0
        super().__init__(
            [Queue(keys.IDLE_QUEUE, connection=connection, serializer=JSONSerializer)],
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            log_job_description=False,
        )

    @property
    def dequeue_timeout(self) -> int:
        return LOOK_SECONDS

    @property
    def stop_requested(self) -> bool:
        """Whether the process was told to end."""
        return self._stop_requested

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """RQ takes its list of queues once, at start, and waits on it: this one looks again every LOOK_SECONDS."""
        while not self._stop_requested:
            self._find_queues()
            found = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time=LOOK_SECONDS)
            if found is not None or timeout is None:
                return found
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do the job in this process."""
        super().execute_job(job, queue)
        self._collector.rest()

    def _find_queues(self) -> None:
        if time.monotonic() < self._next_look:
            return
        try:
            found = cast(set[bytes], self.connection.smembers(Queue.redis_queues_keys))
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return  # the wait for a job that follows says so, and backs off
        self._next_look = time.monotonic() + LOOK_SECONDS
        names = {key.decode().removeprefix(Queue.redis_queue_namespace_prefix) for key in found}
        wanted = {name for name in names if self._serves(name)} | {keys.IDLE_QUEUE}
        kept = [queue for queue in self._ordered_queues if queue.name in wanted]
        new = sorted(wanted - {queue.name for queue in kept})
        self._ordered_queues = [
            *(Queue(name, connection=self.connection, serializer=JSONSerializer) for name in new),
            *kept,
        ]
        self.queues = list(self._ordered_queues)

    def _serves(self, queue: str) -> bool:
        kind, _, table = queue.removeprefix(keys.QUEUE_PREFIX).partition(":")
        if not queue.startswith(keys.QUEUE_PREFIX) or kind not in ("apply", "load"):
            return False
        return self._schema is None or table.partition(".")[0] == self._schema

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Whoever was served goes to the end: tables take turns."""
        name = reference_queue.name
        self._ordered_queues.sort(key=lambda queue: queue.name == name)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Register again where Redis has lost its data: rq dashboard shows who works."""
        if pipeline is None and self._state != "starting" and not self.connection.hexists(self.key, "birth"):
            self.connection.hset(self.key, mapping=self.serialize())
            self.connection.hset(self.key, "state", self._state)
            register(self)
        super().heartbeat(timeout, pipeline)
