"""Partition logs in a real Redis: what goes in comes out, and the backlog is counted truly whoever removes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.support.refused import refusing_port
from tests.support.wait import eventually
from warp.change import Partition
from warp.embedded import EmbeddedServers
from warp.errors import ServerUnreachable, Transient
from warp.transport import keys
from warp.transport.base import Backlog, Entry
from warp.transport.client import connect, where
from warp.transport.logs import RedisLogs

ORDERS = Partition("shop", "odd:name 1", 0, 2)
OTHERS = Partition("shop", "orders", 1, 4)


def entry(partition: Partition, number: int, *, changes: int = 3, payload: bytes = b"\x00\xff\r\n payload") -> Entry:
    """An entry that follows that of the number before."""
    return Entry(
        partition=partition,
        prev=f"{number:04}",
        last=f"{number + 1:04}",
        changes=changes,
        epoch="tailer:1",
        correlation_id="c0ffee",
        payload=payload,
    )


def test_entries_come_back_in_order_as_they_were_sent(logs: RedisLogs) -> None:
    sent = [entry(ORDERS, number, payload=bytes(range(256)) * number) for number in range(5)]
    logs.append([*sent[:3], entry(OTHERS, 7)])
    logs.append(sent[3:])
    stored = logs.read(ORDERS, None, 10)
    assert [item.entry for item in stored] == sent
    assert [item.entry for item in logs.read(ORDERS, stored[1].id, 2)] == sent[2:4]
    assert logs.read(ORDERS, stored[-1].id, 10) == []
    assert logs.tails([OTHERS, Partition("shop", "nobody", 0, 1), ORDERS]) == ["0008", None, "0005"]
    assert logs.tails([]) == []


def total(*entries: Entry) -> Backlog:
    """What those entries are counted as."""
    return Backlog(sum(each.changes for each in entries), sum(each.size for each in entries))


def test_the_backlog_counts_what_lies_there(logs: RedisLogs) -> None:
    one, two, three = entry(ORDERS, 1, changes=5), entry(ORDERS, 2, changes=1, payload=b"1"), entry(OTHERS, 1)
    logs.append([one, three])
    logs.append([two])
    assert logs.backlog("shop") == {("odd:name 1", 0): total(one, two), ("orders", 1): total(three)}
    stored = logs.read(ORDERS, None, 1)
    logs.remove(ORDERS, stored)
    logs.remove(ORDERS, stored)
    assert logs.backlog("shop") == {("odd:name 1", 0): total(two), ("orders", 1): total(three)}
    logs.remove(ORDERS, logs.read(ORDERS, None, 9))
    assert logs.backlog("shop") == {("orders", 1): total(three)}
    assert logs.backlog("elsewhere") == {}


def test_the_backlog_is_true_after_removals_at_once(logs: RedisLogs, redis_url: str) -> None:
    entries = [entry(ORDERS, number, changes=number, payload=b"x" * number) for number in range(1, 401)]
    logs.append(entries)
    stored = logs.read(ORDERS, None, 400)

    def remove(offset: int) -> None:
        with connect(redis_url) as client:
            own = RedisLogs(client, "redis")
            for start in range(offset, 380, 7):
                own.remove(ORDERS, stored[start : start + 20][:380])

    def append(offset: int) -> None:
        with connect(redis_url) as client:
            own = RedisLogs(client, "redis")
            for number in range(50):
                own.append([entry(ORDERS, 1000 + offset * 50 + number, changes=1, payload=b"x")])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda work: work[0](work[1]), [(remove, 0), (append, 0), (remove, 3), (append, 1)]))
    left = [item.entry for item in logs.read(ORDERS, None, 1000)]
    assert logs.backlog("shop") == {("odd:name 1", 0): total(*left)}
    assert sum(each.last > "1000" for each in left) == 100


def test_the_backlog_is_true_where_entries_of_several_numbers_of_partitions_meet(logs: RedisLogs) -> None:
    four = ORDERS._replace(of=4)
    logs.append([entry(ORDERS, 1), entry(four, 1, changes=5), entry(ORDERS, 2)])
    stored = logs.read(ORDERS, None, 10)
    assert [item.entry.partition.of for item in stored] == [2, 4, 2]
    logs.remove(ORDERS, stored[:2])
    assert logs.backlog("shop") == {("odd:name 1", 0): total(stored[2].entry)}
    logs.remove(ORDERS, stored)
    assert logs.backlog("shop") == {}


def test_flushall_leaves_empty_logs_that_go_on_working(logs: RedisLogs, redis: Redis) -> None:
    logs.append([entry(ORDERS, 1)])
    stored = logs.read(ORDERS, None, 1)
    logs.remove(ORDERS, stored)
    redis.flushdb()
    redis.script_flush()
    assert logs.read(ORDERS, None, 1) == []
    assert logs.tails([ORDERS]) == [None]
    assert logs.backlog("shop") == {}
    logs.remove(ORDERS, stored)
    assert logs.backlog("shop") == {}
    logs.append([entry(ORDERS, 2)])
    assert logs.backlog("shop") == {("odd:name 1", 0): total(entry(ORDERS, 2))}


def test_entries_of_another_format_are_left_to_a_worker_that_knows_it(logs: RedisLogs, redis: Redis) -> None:
    redis.xadd(keys.log(ORDERS), {"v": "99", "something": "else"})
    logs.append([entry(ORDERS, 1)])
    with pytest.raises(Transient, match="another cartridge-warp"):
        logs.read(ORDERS, None, 10)
    assert redis.xlen(keys.log(ORDERS)) == 2


def test_the_capacity_is_what_the_server_may_hold(own_servers: EmbeddedServers) -> None:
    with Redis.from_url(own_servers.redis.url) as client:
        logs = RedisLogs(client, "somewhere")
        assert logs.capacity() is None
        client.config_set("maxmemory", 50_000_000)
        assert logs.capacity() == 50_000_000


def test_entries_are_removed_from_a_server_that_is_full(own_servers: EmbeddedServers) -> None:
    with Redis.from_url(own_servers.redis.url) as client:
        logs = RedisLogs(client, "somewhere")
        logs.append([entry(ORDERS, number) for number in range(3)])
        client.config_set("maxmemory", 1)
        with pytest.raises(Transient):
            logs.append([entry(ORDERS, 3)])
        logs.remove(ORDERS, logs.read(ORDERS, None, 2))
        assert logs.backlog("shop") == {(ORDERS.table, 0): Backlog(3, entry(ORDERS, 2).size)}


def test_a_resend_is_asked_for_and_taken_once(logs: RedisLogs) -> None:
    logs.request_resend("shop", ["tailer:1", "other:1"])
    assert not logs.take_resends("shop", "tailer:2")
    assert not logs.take_resends("elsewhere", "tailer:1")
    assert logs.take_resends("shop", "tailer:1")
    assert not logs.take_resends("shop", "tailer:1")
    assert logs.take_resends("shop", "other:1")


def test_what_is_sent_at_once_is_seen_at_once(logs: RedisLogs, redis_url: str) -> None:
    """`append` is one transaction: nobody sees some of the entries, nor entries that are not counted."""
    batch = [entry(ORDERS, number, changes=1, payload=b"x") for number in range(20)]

    def send() -> None:
        with connect(redis_url) as client:
            own = RedisLogs(client, "redis")
            for _ in range(50):
                own.append(batch)

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)

        def whole() -> bool:
            stored = logs.read(ORDERS, None, 2000)
            assert len(stored) % 20 == 0
            return sending.done()

        eventually(whole)
        sending.result()
    assert logs.backlog("shop") == {("odd:name 1", 0): total(*batch * 50)}


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with refusing_port() as port:
        url = f"redis://:s3cret@127.0.0.1:{port}/0"
        with connect(url) as client, pytest.raises(ServerUnreachable, match=str(port)) as away:
            RedisLogs(client, where(url)).append([entry(ORDERS, 1)])
    assert "s3cret" not in str(away.value)


def test_counters_of_a_log_that_is_gone_count_nothing(logs: RedisLogs, redis: Redis) -> None:
    """Else a tailer whose log was lost above the high-water mark would wait for ever for somebody to drain it."""
    logs.append([entry(ORDERS, 1), entry(OTHERS, 1)])
    redis.delete(keys.log(ORDERS))
    assert logs.backlog("shop").keys() == {(OTHERS.table, OTHERS.number)}
    assert redis.hlen(keys.backlog("shop")) == 2
