"""Open dead letters as failed RQ jobs, which rq dashboard shows: `warp.transport.base.LetterJobs`.

A job says which letter is meant; what is in the letter never rides in it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Sequence
from typing import cast

import redis
from redis.exceptions import WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from warp.transport import keys
from warp.transport.base import LetterJob
from warp.transport.client import translated
from warp.transport.jobs import REPLAY
from warp.transport.wakeups import FAILURE_TTL

_JOB_ID = re.compile(r"warp-letter-([0-9]+)")


def job_id(number: int) -> str:
    """The id of the job of a letter."""
    return f"warp-letter-{number}"


class RedisLetterJobs:
    """See `warp.transport.base.LetterJobs` for the contract of each method."""

    def __init__(self, client: redis.Redis, address: str) -> None:
        self._client = client
        self._address = address
        self._suspects: set[int] = set()

    def settle(self, schema: str, opened: Collection[int]) -> list[int]:
        with translated(self._address):
            queues = self._queues(schema)
            failed = {number for queue in queues for number in self._failed(queue)}
            for number in failed - set(opened):
                self._remove(number)
            absent = [number for number in opened if number not in failed]
            return self._without_job(absent, queues)

    def _queues(self, schema: str) -> list[Queue]:
        found = cast(set[bytes], self._client.smembers(Queue.redis_queues_keys))
        names = sorted(key.decode().removeprefix(Queue.redis_queue_namespace_prefix) for key in found)
        ours = [name for name in names if name.startswith(keys.replay_queues(schema))]
        return [Queue(name, connection=self._client, serializer=JSONSerializer) for name in ours]

    def _failed(self, queue: Queue) -> list[int]:
        return _numbers(FailedJobRegistry(queue=queue).get_job_ids())

    def _remove(self, number: int) -> None:
        try:
            job = Job.fetch(job_id(number), connection=self._client, serializer=JSONSerializer)
        except NoSuchJobError:
            return  # its entry expires with it
        if job.get_status(refresh=False) is JobStatus.FAILED:
            job.delete()

    def _without_job(self, numbers: Sequence[int], queues: Sequence[Queue]) -> list[int]:
        """Which of these letters, which have no failed job, have none under way. A lost job's remains are removed."""
        with self._client.pipeline(transaction=False) as pipeline:
            for number in numbers:
                pipeline.exists(Job.key_for(job_id(number)))
            exists = pipeline.execute()
        held = {number for number, is_there in zip(numbers, exists, strict=True) if is_there}
        lost = held - self._under_way(queues) if held else set()
        # It may be on its way from one place to another: just requeued, or just taken. The next look will tell.
        confirmed, self._suspects = lost & self._suspects, lost - self._suspects
        for number in confirmed:
            self._client.delete(Job.key_for(job_id(number)))
        return [number for number in numbers if number not in held - confirmed]

    def _under_way(self, queues: Sequence[Queue]) -> set[int]:
        under_way: set[int] = set()
        for queue in queues:
            under_way.update(_numbers(queue.get_job_ids()))
            started = self._client.zrangebyscore(StartedJobRegistry(queue=queue).key, time.time(), "+inf")
            under_way.update(_numbers(StartedJobRegistry.parse_job_id(each) for each in cast(list[str], started)))
        return under_way

    def fail(self, jobs: Sequence[LetterJob]) -> int:
        with translated(self._address):
            return sum(map(self._fail, jobs))

    def _fail(self, letter: LetterJob) -> bool:
        queue = Queue(keys.queue("replay", letter.ref), connection=self._client, serializer=JSONSerializer)
        job = Job.create(
            REPLAY,
            args=(letter.number,),
            id=job_id(letter.number),
            origin=queue.name,
            description=letter.description,
            timeout=keys.REPLAY_SECONDS,
            result_ttl=0,
            failure_ttl=FAILURE_TTL,
            status=JobStatus.FAILED,
            connection=self._client,
            serializer=JSONSerializer,
        )
        job.created_at = job.ended_at = letter.parked_at
        with self._client.pipeline() as pipeline:
            try:
                pipeline.watch(job.key)  # type: ignore[no-untyped-call]
                if pipeline.exists(job.key):
                    return False
                pipeline.multi()
                pipeline.sadd(Queue.redis_queues_keys, queue.key)
                job.save(pipeline=pipeline)
                FailedJobRegistry(queue=queue).add(job, ttl=FAILURE_TTL, exc_string=letter.traceback, pipeline=pipeline)
                Result.create_failure(job, FAILURE_TTL, letter.traceback, pipeline=pipeline)
                pipeline.execute()
            except WatchError:
                return False  # another scheduler was quicker
        return True


def _numbers(ids: Iterable[str]) -> list[int]:
    """The letters of those jobs that are of letters."""
    return [int(found[1]) for each in ids if (found := _JOB_ID.fullmatch(each))]
