"""Two tailers of one schema at once: by a pause that outlives the lease, by lost leases, and without any lease."""

from __future__ import annotations

from functools import partial

from redis import Redis

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.leaseless import tailer_without_lease
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from warp.change import Partition
from warp.transport import keys


def test_invariant_6_a_frozen_tailer_wakes_up_beside_its_successor(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=6)
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    first = mirror.tailer
    second = mirror.fleet.tailer(mirror.config, schema)
    mirror.freeze_when(first, mirror.backlog, "changes waiting in the logs")
    eventually(lambda: "stream opened" in second.output(), what="the standby took over")
    mirror.wait_applied(300)
    first.thaw()
    mirror.wait_applied(300)
    with Redis.from_url(endpoints.redis_url) as client:
        lease = keys.tailer_lease(schema)
        for _ in range(5):
            client.delete(lease)
            eventually(lambda: client.exists(lease), what="one of them leads")
    mirror.wait_applied(300)
    mirror.end_identical(writer)
    assert first.running
    assert second.running


def test_invariant_6_two_tailers_send_at_once(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema, partitions=2), make_writer(endpoints, schema, seed=7)
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    with tailer_without_lease(mirror.settings, schema):
        worker = mirror.workers[0]
        mirror.freeze_when(worker, lambda: len(_senders(mirror)) == 2, "entries of both in one log")
        worker.thaw()
        mirror.wait_applied(800)
        mirror.end_identical(writer)


def _senders(mirror: Mirror) -> set[str]:
    """The tailers whose entries lie in the first log that has any."""
    logs = mirror.looking.logs
    for name in mirror.names:
        for table, number in logs.backlog(name):
            if stored := logs.read(Partition(name, table, number, 2), None, 1000):
                return {item.entry.epoch.partition(":")[0] for item in stored}
    return set()


def test_invariant_6_two_tailers_disagree_on_the_number_of_partitions(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    """Each gives every table its own number as soon as all that was read is applied, and finds the other at work."""
    mirror = make_mirror(endpoints, schema, partitions=3)
    writer = make_writer(endpoints, schema, seed=12, collections=["orders", "products"])
    writer.preload(100)
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    other = mirror.settings.model_copy(update={"partitions": 2})
    with tailer_without_lease(other, schema):
        for partitions in (2, 3, 2, 3):
            eventually(partial(_routed_by, mirror, partitions), what=f"{partitions} partitions")
            mirror.wait_applied(100)
    mirror.end_identical(writer)


def _routed_by(mirror: Mirror, partitions: int) -> bool:
    return (partitions,) in mirror.query("SELECT partitions FROM cartridge_warp.sync_tables")
