"""The RQ worker: no fork for each job, queues of tables that appear later, turns among all of them, an orderly stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import redis
from redis.exceptions import OutOfMemoryError, RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.worker import WorkerStatus
from rq.worker_registration import register

from warp.monitoring.logging import get_logger
from warp.process import Collector, Stop
from warp.retry import backoff
from warp.transport import keys

LOOK_SECONDS = 1
"""How often the worker looks for new queues, and for a stop, while it has nothing to do."""
LOAD_EVERY_SECONDS = 0.5
"""A worker with changes to apply turns to a first load this long after it last did."""
_LOADS = f"{keys.QUEUE_PREFIX}load:"


class NoDeathPenalty(BaseDeathPenalty):
    """A step is never cut by an alarm in the middle of a commit: it is bounded by its own turn and time-outs."""

    def setup_death_penalty(self) -> None:
        """No alarm."""

    def cancel_death_penalty(self) -> None:
        """None to cancel."""


class Worker(SimpleWorker):
    """Serves every queue of this project, or of one schema, that there is at the time."""

    death_penalty_class = NoDeathPenalty

    def __init__(
        self,
        connection: redis.Redis,
        schema: str | None,
        stop: Stop,
        collector: Collector,
        relief: Callable[[], int],
    ) -> None:
        """`stop` is installed by the process; `relief` makes room in Redis where it can, and says what it did.

        Raises redis-py's ConnectionError where Redis does not answer.
        """
        self._schema = schema
        self._stop = stop
        self._collector = collector
        self._relief = relief
        self._next_look = 0.0
        self._next_load = 0.0
        super().__init__(
            [Queue(keys.IDLE_QUEUE, connection=connection, serializer=JSONSerializer)],
            connection=connection,
            serializer=JSONSerializer,
            log_job_description=False,
        )

    def _install_signal_handlers(self) -> None:
        """None: RQ's raise exceptions wherever the process happens to be, and talk to Redis from there."""

    def subscribe(self) -> None:
        """To nothing: RQ's thread for remote commands outlives a worker that Redis failed, with its connection."""

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next job; None when the process is to end.

        RQ takes its list of queues once, at start, and sees neither new ones nor a stop while Redis is away.
        """
        waits = backoff()
        while not self._stop.is_set():
            try:
                self.set_state(WorkerStatus.IDLE)
                self.heartbeat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
                self._find_queues()
                found = self._dequeue()
                waits = backoff()
                if found is not None:
                    return found
            except RedisError as error:  # away, out of memory, loading its data
                if not (isinstance(error, OutOfMemoryError) and self._relief()):
                    get_logger(__name__).warning("Redis does not serve, will be tried again", reason=str(error))
                    self._stop.wait(next(waits))
                self._collector.rest()
        return None

    def _dequeue(self) -> tuple[Job, Queue] | None:
        try:
            found = self.queue_class.dequeue_any(
                self._in_turn(),
                LOOK_SECONDS,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return None
        if found is not None:
            job, queue = found
            self.reorder_queues(queue)
            job.redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]
        return found

    def _in_turn(self) -> list[Queue]:
        """Changes come before chunks of first loads, but for one chunk's turn every LOAD_EVERY_SECONDS."""
        loads_first = time.monotonic() >= self._next_load
        return sorted(self._ordered_queues, key=lambda queue: queue.name.startswith(_LOADS) is not loads_first)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do the job in this process."""
        super().execute_job(job, queue)
        if queue.name.startswith(_LOADS):
            self._next_load = time.monotonic() + LOAD_EVERY_SECONDS
        self._collector.rest()

    def _find_queues(self) -> None:
        if time.monotonic() < self._next_look:
            return
        found = cast(set[bytes], self.connection.smembers(Queue.redis_queues_keys))
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
        if not queue.startswith(keys.QUEUE_PREFIX) or kind not in ("apply", "load", "replay"):
            return False
        return self._schema is None or table.partition(".")[0] == self._schema

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Whoever was served goes to the end: tables take turns."""
        name = reference_queue.name
        self._ordered_queues.sort(key=lambda queue: queue.name == name)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Register again where Redis has lost its data: rq dashboard shows who works."""
        if pipeline is None and not self.connection.hexists(self.key, "birth"):
            self.connection.hset(self.key, mapping=self.serialize())
            register(self)
        super().heartbeat(timeout, pipeline)
