"""Several workers on one table, and another number of partitions from one run of the tailer to the next."""

from __future__ import annotations

from functools import partial

import rq
from redis import Redis

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints, write_config
from tests.support.mirror import Mirror
from tests.support.wait import eventually


def test_four_workers_on_one_table_with_four_partitions(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "tables": [{"name": "orders", "partitions": 4}]})
    writer = make_writer(endpoints, schema, seed=8, collections=["orders"])
    writer.preload(300)
    mirror.start(workers=4)
    writer.start()
    mirror.wait_caught_up()
    with Redis.from_url(endpoints.redis_url) as client:
        eventually(lambda: [worker.successful_job_count > 1 for worker in rq.Worker.all(client)] == [True] * 4)
    mirror.wait_applied(800)
    mirror.end_identical(writer)
    markers = mirror.query("SELECT partition, changes_applied > 100 FROM cartridge_warp.sync_markers ORDER BY 1")
    assert markers == [(0, True), (1, True), (2, True), (3, True)]


def test_the_number_of_partitions_changes(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema, partitions=2), make_writer(endpoints, schema, seed=9)
    writer.preload(100)
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    for partitions in (5, 1):
        mirror.tailer.terminate()
        write_config(mirror.config, endpoints, [schema], partitions=partitions)
        mirror.tailer.restart()
        eventually(partial(_have_partitions, mirror, partitions), what=f"{partitions} partitions")
        mirror.wait_applied(500)
    mirror.end_identical(writer)


def _have_partitions(mirror: Mirror, partitions: int) -> bool:
    return mirror.query("SELECT DISTINCT partitions FROM cartridge_warp.sync_tables") == [(partitions,)]
