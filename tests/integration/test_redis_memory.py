"""A real Redis that has reached `maxmemory`: what takes memory fails whole and passes, what gives memory back works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from scheduler.lease import Lease
from warp.change import Partition
from warp.embedded import EmbeddedServers
from warp.errors import Transient
from warp.transport.base import Entry, apply_wakeup
from warp.transport.client import connect
from warp.transport.logs import RedisLogs
from warp.transport.wakeups import RedisWakeups

PARTITION = Partition("shop", "orders", 0, 1)
WAKEUP = apply_wakeup(PARTITION)


@pytest.fixture
def redis(own_servers: EmbeddedServers) -> Iterator[Redis]:
    """A client of a server that may be filled."""
    with connect(own_servers.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        yield client


def entry(number: int) -> Entry:
    """An entry that follows that of the number before."""
    return Entry(
        partition=PARTITION,
        prev=f"{number:04}",
        last=f"{number + 1:04}",
        changes=1,
        epoch="tailer:1",
        correlation_id="c0ffee",
        payload=b"payload",
    )


def fill(redis: Redis) -> None:
    """From here on there is no memory."""
    redis.config_set("maxmemory", 1)


def test_logs_can_be_drained_and_not_added_to(redis: Redis) -> None:
    logs = RedisLogs(redis, "redis")
    logs.append([entry(1), entry(2), entry(3)])
    logs.request_resend("shop", ["tailer:1"])
    fill(redis)
    with pytest.raises(Transient, match="OOM"):
        logs.append([entry(4), entry(5)])
    with pytest.raises(Transient, match="OOM"):
        logs.request_resend("shop", ["tailer:2"])
    assert logs.tails([PARTITION]) == ["0004"], "an entry alone would be a false statement about what follows"
    assert logs.backlog("shop")["orders", 0].changes == 3
    assert logs.take_resends("shop", "tailer:1")
    stored = logs.read(PARTITION, None, 10)
    logs.remove(PARTITION, stored[:1])
    assert logs.backlog("shop")["orders", 0].changes == 2
    logs.remove(PARTITION, stored)
    assert logs.backlog("shop") == {}


def test_wakeups_wait_and_are_found_again(redis: Redis) -> None:
    wakeups = RedisWakeups(redis, "redis")
    assert wakeups.claim(WAKEUP)
    fill(redis)
    wakeups.release(WAKEUP)
    for refused in (
        lambda: wakeups.schedule([WAKEUP], "c0ffee"),
        lambda: wakeups.revive([WAKEUP], "c0ffee"),
        lambda: wakeups.claim(WAKEUP),
        lambda: wakeups.renew(WAKEUP),
    ):
        with pytest.raises(Transient, match="OOM"):
            refused()
    redis.config_set("maxmemory", 0)
    assert wakeups.revive([WAKEUP], "c0ffee") == 1


def test_who_leads_goes_on_leading_and_can_resign(redis: Redis) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 60
        return now

    leader, standby = (Lease(redis, "redis", "warp:tailer:shop", clock=clock) for _ in range(2))
    assert leader.hold()
    fill(redis)
    assert leader.hold()
    assert redis.ttl("warp:tailer:shop") > 0
    with pytest.raises(Transient, match="OOM"):
        standby.hold()
    leader.release()
    assert not redis.exists("warp:tailer:shop")
