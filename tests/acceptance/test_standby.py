"""A second tailer, scheduler or web process stands by: it goes on where the first has died or stands still."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial

import pytest

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.fleet import Process
from tests.support.mirror import Mirror
from tests.support.wait import eventually

FAILURES: dict[str, tuple[Callable[[Process], None], float]] = {
    "killed": (Process.kill, 10.0),
    "frozen": (Process.freeze, 15.0),
}
"""What happens to the leader, and the seconds until a standby has taken over."""


@pytest.mark.parametrize("failure", FAILURES)
def test_tailer(
    failure: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=31)
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    leader, standby = mirror.tailer, mirror.fleet.tailer(mirror.config, schema)
    eventually(lambda: "stands by" in standby.output(), what="the second stands by")
    fail, deadline = FAILURES[failure]
    fail(leader)
    ts = mirror.looking.source.now()
    eventually(lambda: _applied_beyond(mirror, ts), deadline, what="the standby's changes applied")
    if leader.running:
        leader.thaw()
    mirror.wait_applied(500)
    mirror.end_identical(writer)
    assert standby.running


def _applied_beyond(mirror: Mirror, ts: int) -> int:
    """Whether a change later than that has been applied."""
    return mirror.number(f"SELECT count(*) FROM cartridge_warp.sync_schemas WHERE checkpoint_ts > {ts}")


@pytest.mark.parametrize("failure", FAILURES)
def test_scheduler_in_mid_load(
    failure: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    """Schedulers work side by side: nobody takes anything over, and what each does the others may do as well."""
    mirror = make_mirror(endpoints, schema)
    writer = make_writer(endpoints, schema, seed=32, collections=["orders"])
    writer.preload(15_000)
    writer.start()
    mirror.start()
    second = mirror.fleet.scheduler(mirror.config)
    first = mirror.scheduler
    mirror.freeze_when(first, mirror.chunks_partly_loaded, "a chunk loaded in part")
    if failure == "killed":
        first.kill()
    rows = mirror.loaded()
    deadline = FAILURES[failure][1]
    eventually(lambda: mirror.loaded() > rows or not mirror.loads_open(), deadline, what="the first load goes on")
    mirror.wait_caught_up()
    if first.running:
        first.thaw()
    mirror.wait_applied(200)
    mirror.end_identical(writer)
    assert second.running


@pytest.mark.parametrize("failure", FAILURES)
def test_web(failure: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror) -> None:
    mirror = make_mirror(endpoints, schema).start()
    mirror.wait_caught_up()
    first, second = (mirror.fleet.start(mirror.config, "web", "--port", "0") for _ in range(2))
    addresses = [_address(first), _address(second)]
    for address in addresses:
        eventually(partial(_ready, address), what="every server and the tailer reached")
    fail, _ = FAILURES[failure]
    fail(first)
    assert _ready(addresses[1])
    if first.running:
        first.thaw()
        eventually(partial(_ready, addresses[0]), what="the first answers again")


def _address(web: Process) -> str:
    """Where it listens, once it does."""

    [port, *_] = eventually(lambda: re.findall(r"listening .*port=(\d+)", web.output()), what=f"{web.name} listens")
    return f"http://127.0.0.1:{port}"


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
