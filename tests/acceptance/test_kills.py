"""`kill -9` of each process, in mid-stream and in mid-load. Nobody helps but a supervisor that starts it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.fleet import Process
from tests.support.mirror import Mirror

VICTIMS: dict[str, Callable[[Mirror], Process]] = {
    "tailer": lambda mirror: mirror.tailer,
    "worker": lambda mirror: mirror.workers[0],
    "scheduler": lambda mirror: mirror.scheduler,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_in_mid_stream(
    victim: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=3)
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    process = VICTIMS[victim](mirror)
    if victim == "worker":
        mirror.freeze_when(process, lambda: mirror.for_sure(mirror.steps_under_way), "the worker within a step")
    else:
        mirror.freeze_when(process, mirror.backlog, "changes waiting in the logs")
    process.kill()
    process.restart()
    mirror.wait_applied(800)
    mirror.end_identical(writer)


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_in_mid_load(
    victim: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror = make_mirror(endpoints, schema)
    writer = make_writer(endpoints, schema, seed=4, collections=["orders"])
    writer.preload(15_000)
    writer.start()
    # Two workers load and follow the stream at once, so that each sees what the other has not written yet.
    mirror.start(workers=1 if victim == "worker" else 2)
    process = VICTIMS[victim](mirror)
    mirror.freeze_when(process, mirror.chunks_partly_loaded, "a chunk loaded in part")
    process.kill()
    process.restart()
    mirror.wait_caught_up()
    mirror.end_identical(writer)
