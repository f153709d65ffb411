"""The transports under test, seen as a worker sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast
from unittest.mock import patch

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job, requeue_job
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from warp.change import TableRef
from warp.testing import MemoryBroker, MemoryLetterJobs, MemoryLogs, MemoryWakeups
from warp.transport import keys
from warp.transport.base import LetterJobs, Logs, Wakeup, Wakeups
from warp.transport.jobs import PATHS
from warp.transport.letters import RedisLetterJobs
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

    @property
    def letter_jobs(self) -> LetterJobs:
        """The jobs of dead letters."""

    def failed_letters(self) -> dict[int, tuple[str, str]]:
        """Description and traceback of each failed job, as a person sees them."""

    def requeue_letter(self, number: int) -> None:
        """Press the button of a failed job."""

    def replay_letters(self, replay: Callable[[int], None]) -> None:
        """Do what is requeued, as a worker: a replay that raises fails."""

    def die_replaying(self) -> None:
        """Take a job off its queue, die with it, and let as much time pass as a replay may take."""

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
        self.letter_jobs = MemoryLetterJobs(self._broker)

    def failed_letters(self) -> dict[int, tuple[str, str]]:
        return {number: (job.description, job.traceback) for number, job in self.letter_jobs.failed().items()}

    def requeue_letter(self, number: int) -> None:
        self.letter_jobs.requeue(number)

    def replay_letters(self, replay: Callable[[int], None]) -> None:
        while (number := self.letter_jobs.take()) is not None:
            try:
                replay(number)
            except Exception as error:
                self.letter_jobs.finish(number, repr(error))
            else:
                self.letter_jobs.finish(number, None)

    def die_replaying(self) -> None:
        assert self.letter_jobs.take() is not None
        self._now += 2 * keys.REPLAY_SECONDS

    def take(self) -> tuple[Wakeup, str] | None:
        return self.wakeups.take()

    def let_leases_lapse(self) -> None:
        self._now += keys.LEASE_SECONDS

    def lose_everything(self) -> None:
        self._broker.flush()


class _Worker(SimpleWorker):
    """RQ's own, but for the process's signals."""

    def _install_signal_handlers(self) -> None:
        pass


class RedisTransport:
    """A logical database of a Redis server."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.logs = RedisLogs(client, "redis")
        self.wakeups = RedisWakeups(client, "redis")
        self.letter_jobs = RedisLetterJobs(client, "redis")

    def failed_letters(self) -> dict[int, tuple[str, str]]:
        jobs = [job for queue in self._queues() for job in self._failed(queue)]
        results = [job.latest_result() for job in jobs]
        shown = [
            (job.description or "", (result and result.exc_string) or "")
            for job, result in zip(jobs, results, strict=True)
        ]
        return {job.args[0]: each for job, each in zip(jobs, shown, strict=True)}

    def _queues(self) -> list[Queue]:
        return Queue.all(connection=self._client, serializer=JSONSerializer)

    def _failed(self, queue: Queue) -> list[Job]:
        ids = FailedJobRegistry(queue=queue).get_job_ids()
        return [Job.fetch(each, connection=self._client, serializer=JSONSerializer) for each in ids]

    def requeue_letter(self, number: int) -> None:
        requeue_job(f"warp-letter-{number}", connection=self._client)  # as rq dashboard does: without a serializer

    def replay_letters(self, replay: Callable[[int], None]) -> None:
        # RQ's handlers would stay with its loggers, in this process, and keep their records from all others.
        with patch("workers.jobs.replay_v1", replay), patch("rq.worker.base.setup_loghandlers"):
            _Worker(self._queues(), connection=self._client, serializer=JSONSerializer).work(burst=True)

    def die_replaying(self) -> None:
        worker = _Worker(self._queues(), connection=self._client, serializer=JSONSerializer)
        found = Queue.dequeue_any(worker.queues, timeout=None, connection=self._client, serializer=JSONSerializer)
        assert found is not None
        job, queue = found
        worker.prepare_execution(job)
        worker.prepare_job_execution(job)
        started = StartedJobRegistry(queue=queue).key
        for entry in cast(list[bytes], self._client.zrange(started, 0, -1)):
            self._client.zadd(started, {entry: 1})

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
