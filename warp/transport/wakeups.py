"""Wake-ups as RQ jobs: `warp.transport.base.Wakeups`. A job says where to look; payloads never ride in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import uuid4

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from warp.transport import keys
from warp.transport.base import Wakeup
from warp.transport.client import translated
from warp.transport.jobs import PATHS

FAILURE_TTL = 86_400
"""Seconds for which a failed job stays visible in rq dashboard."""
_QUEUED = "queued:"
"""Followed by the id of the RQ job that waits: whether it still does can be looked up."""
_HELD = "held"
"""A worker is at it, and renews the lease."""


class RedisWakeups:
    """See `warp.transport.base.Wakeups` for the contract of each method."""

    def __init__(self, client: redis.Redis, address: str) -> None:
        self._client = client
        self._address = address
        self._suspects: dict[str, bytes] = {}

    def schedule(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        with translated(self._address), self._client.pipeline(transaction=False) as pipeline:
            jobs = [(wakeup, uuid4().hex) for wakeup in wakeups]
            for wakeup, job in jobs:
                pipeline.set(keys.scheduled(wakeup.name), _QUEUED + job, nx=True, ex=keys.QUEUED_SECONDS)
            fresh = [item for item, taken in zip(jobs, pipeline.execute(), strict=True) if taken]
            if fresh:
                pipeline.multi()  # RQ wants a transaction that has begun
                for wakeup, job in fresh:
                    self._enqueue(wakeup, job, correlation_id, pipeline)
                pipeline.execute()
        return len(fresh)

    def revive(self, wakeups: Sequence[Wakeup], correlation_id: str) -> int:
        with translated(self._address):
            lost = [wakeup for wakeup in wakeups if not self._under_way(wakeup)]
        for wakeup in lost:
            self.requeue(wakeup, correlation_id)
        return len(lost)

    def _under_way(self, wakeup: Wakeup) -> bool:
        state = cast(bytes | None, self._client.get(keys.scheduled(wakeup.name)))
        suspected = self._suspects.pop(wakeup.name, None)
        if state is None or not state.startswith(_QUEUED.encode()):
            return state is not None
        queue = Queue.redis_queue_namespace_prefix + keys.queue(wakeup.kind, wakeup.ref)
        if self._client.lpos(queue, state.decode().removeprefix(_QUEUED)) is not None:
            return True
        # A worker has taken the job: just now, and will say so, or died with it. The next look will tell.
        self._suspects[wakeup.name] = state
        return state != suspected

    def requeue(self, wakeup: Wakeup, correlation_id: str) -> None:
        job = uuid4().hex
        with translated(self._address), self._client.pipeline() as pipeline:
            pipeline.multi()
            pipeline.set(keys.scheduled(wakeup.name), _QUEUED + job, ex=keys.QUEUED_SECONDS)
            self._enqueue(wakeup, job, correlation_id, pipeline)
            pipeline.execute()

    def claim(self, wakeup: Wakeup) -> bool:
        with translated(self._address):
            return bool(self._client.set(keys.scheduled(wakeup.name), _HELD, nx=True, ex=keys.LEASE_SECONDS))

    def renew(self, wakeup: Wakeup) -> None:
        with translated(self._address):
            self._client.set(keys.scheduled(wakeup.name), _HELD, ex=keys.LEASE_SECONDS)

    def postpone(self, wakeup: Wakeup, seconds: float) -> None:
        with translated(self._address):
            self._client.set(keys.scheduled(wakeup.name), _HELD, px=round(seconds * 1000))

    def release(self, wakeup: Wakeup) -> None:
        with translated(self._address):
            self._client.delete(keys.scheduled(wakeup.name))

    def _enqueue(self, wakeup: Wakeup, job: str, correlation_id: str, pipeline: redis.client.Pipeline) -> None:
        share = "partition" if wakeup.kind == "apply" else "chunk"
        Queue(keys.queue(wakeup.kind, wakeup.ref), connection=self._client, serializer=JSONSerializer).enqueue_call(
            PATHS[wakeup.kind],
            args=(wakeup.ref.schema, wakeup.ref.table, wakeup.number, wakeup.of, correlation_id),
            timeout=-1,
            result_ttl=0,
            failure_ttl=FAILURE_TTL,
            description=f"{wakeup.kind} {wakeup.ref}, {share} {wakeup.number}",
            job_id=job,
            pipeline=pipeline,
        )
