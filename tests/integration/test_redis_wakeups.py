"""Wake-ups in a real Redis: RQ jobs, one at a time for the same work, and found again when they are lost."""

from __future__ import annotations

from importlib import import_module

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from warp.change import Partition, TableRef
from warp.transport import keys
from warp.transport.base import Wakeup, apply_wakeup, load_wakeup
from warp.transport.jobs import PATHS
from warp.transport.wakeups import RedisWakeups

APPLY = apply_wakeup(Partition("shop", "odd:name 1", 3, 4))
LOAD = load_wakeup(TableRef("shop", "odd:name 1"), 7)


def queued(redis: Redis, wakeup: Wakeup) -> list[Job]:
    """The jobs that wait in a wake-up's queue."""
    name = keys.queue(wakeup.kind, wakeup.ref)
    return Queue(name, connection=redis, serializer=JSONSerializer).get_jobs()


def taken(redis: Redis, wakeup: Wakeup) -> Job:
    """The next job, popped as a worker does."""
    queue = Queue(keys.queue(wakeup.kind, wakeup.ref), connection=redis, serializer=JSONSerializer)
    found = Queue.dequeue_any([queue], None, connection=redis, serializer=JSONSerializer)
    assert found is not None
    return found[0]


def test_work_is_queued_once(wakeups: RedisWakeups, redis: Redis) -> None:
    assert wakeups.schedule([APPLY, LOAD], "c0ffee") == 2
    assert wakeups.schedule([LOAD, APPLY], "c0ffee") == 0
    assert wakeups.schedule([APPLY._replace(number=1)], "c0ffee") == 1
    assert wakeups.schedule([], "c0ffee") == 0
    assert [len(queued(redis, each)) for each in (APPLY, LOAD)] == [2, 1]


def test_a_job_says_where_to_look_and_carries_nothing(wakeups: RedisWakeups, redis: Redis) -> None:
    wakeups.schedule([APPLY, LOAD], "c0ffee")
    [apply], [load] = queued(redis, APPLY), queued(redis, LOAD)
    assert apply.args == ["shop", "odd:name 1", 3, 4, "c0ffee"]
    assert load.args == ["shop", "odd:name 1", 7, 0, "c0ffee"]
    assert apply.description == "apply shop.odd:name 1, partition 3"
    assert load.description == "load shop.odd:name 1, chunk 7"
    assert (apply.timeout, apply.result_ttl) == (-1, 0)
    assert apply.func_name == PATHS["apply"]


@pytest.mark.parametrize("path", PATHS.values())
def test_the_paths_of_jobs_lead_somewhere(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert callable(getattr(import_module(module), name))


def test_a_lease_is_held_by_one_and_given_back(wakeups: RedisWakeups, redis: Redis) -> None:
    assert wakeups.claim(APPLY)
    assert not wakeups.claim(APPLY)
    assert wakeups.schedule([APPLY], "c0ffee") == 0
    assert 0 < redis.ttl(keys.scheduled(APPLY.name)) <= keys.LEASE_SECONDS
    wakeups.release(APPLY)
    assert wakeups.claim(APPLY)
    wakeups.release(APPLY)
    assert wakeups.schedule([APPLY], "c0ffee") == 1


def test_a_lease_that_is_renewed_lasts(wakeups: RedisWakeups, redis: Redis) -> None:
    wakeups.claim(APPLY)
    redis.expire(keys.scheduled(APPLY.name), 1)
    wakeups.renew(APPLY)
    assert redis.ttl(keys.scheduled(APPLY.name)) > 1


def test_work_put_back_goes_to_the_end_of_its_queue(wakeups: RedisWakeups, redis: Redis) -> None:
    first, second = APPLY._replace(number=1), APPLY._replace(number=2)
    wakeups.schedule([first, second], "c0ffee")
    taken(redis, first)
    wakeups.renew(first)
    wakeups.requeue(first, "c0ffee")
    assert [job.args[2] for job in queued(redis, APPLY)] == [2, 1]
    assert wakeups.schedule([first], "c0ffee") == 0


def revived(wakeups: RedisWakeups, *wanted: Wakeup) -> int:
    """How many are revived, given the time to be sure."""
    return wakeups.revive(wanted, "c0ffee") + wakeups.revive(wanted, "c0ffee")


def test_what_waits_in_its_queue_or_is_held_is_not_revived(wakeups: RedisWakeups, redis: Redis) -> None:
    wakeups.schedule([APPLY, LOAD], "c0ffee")
    taken(redis, LOAD)
    wakeups.renew(LOAD)
    assert revived(wakeups, APPLY, LOAD) == 0
    assert (len(queued(redis, APPLY)), len(queued(redis, LOAD))) == (1, 0)


def test_the_work_of_a_killed_worker_is_revived_when_its_lease_has_run_out(wakeups: RedisWakeups, redis: Redis) -> None:
    wakeups.schedule([APPLY], "c0ffee")
    taken(redis, APPLY)
    wakeups.renew(APPLY)
    redis.delete(keys.scheduled(APPLY.name))
    assert revived(wakeups, APPLY) == 1
    assert len(queued(redis, APPLY)) == 1


def test_the_work_of_a_worker_killed_between_queue_and_lease_is_revived(wakeups: RedisWakeups, redis: Redis) -> None:
    wakeups.schedule([APPLY], "c0ffee")
    taken(redis, APPLY)
    assert revived(wakeups, APPLY) == 1
    assert len(queued(redis, APPLY)) == 1


def test_after_flushall_everything_is_revived(wakeups: RedisWakeups, redis: Redis) -> None:
    wakeups.schedule([APPLY], "c0ffee")
    wakeups.claim(LOAD)
    redis.flushdb()
    assert revived(wakeups, APPLY, LOAD) == 2
    assert [len(queued(redis, each)) for each in (APPLY, LOAD)] == [1, 1]
    assert wakeups.schedule([APPLY, LOAD], "c0ffee") == 0
