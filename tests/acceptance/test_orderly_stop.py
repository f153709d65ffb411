"""SIGTERM ends every process within 10 s and with exit code 0, whatever it is at and whichever server is away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.fleet import Process
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from warp.embedded import EmbeddedServers
from warp.errors import ExitCode

IN_TIME = 10.0
WEB = ("web", "--port", "0")
RUN = ("run", "--workers", "1", "--no-web")

PROCESSES: dict[str, Callable[[Mirror], Process]] = {
    "tailer": lambda mirror: mirror.tailer,
    "worker": lambda mirror: mirror.workers[0],
    "scheduler": lambda mirror: mirror.scheduler,
}


@pytest.mark.parametrize("which", PROCESSES)
def test_in_mid_stream(
    which: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=21)
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    process = PROCESSES[which](mirror)
    if which == "worker":
        mirror.freeze_when(process, lambda: mirror.for_sure(mirror.steps_under_way), "the worker within a step")
    else:
        mirror.freeze_when(process, mirror.backlog, "changes waiting in the logs")
    _ends_in_order(process)
    process.restart()
    mirror.wait_applied(500)
    mirror.end_identical(writer)


@pytest.mark.parametrize("which", PROCESSES)
def test_in_mid_load(
    which: str, endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror = make_mirror(endpoints, schema)
    writer = make_writer(endpoints, schema, seed=22, collections=["orders"])
    writer.preload(15_000)
    writer.start()
    mirror.start()
    process = PROCESSES[which](mirror)
    mirror.freeze_when(process, mirror.chunks_partly_loaded, "a chunk loaded in part")
    _ends_in_order(process)
    process.restart()
    mirror.end_identical(writer)


def test_run_and_web_in_mid_load(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror = make_mirror(endpoints, schema)
    writer = make_writer(endpoints, schema, seed=23, collections=["orders"])
    writer.preload(15_000)
    writer.start()
    web, run = (mirror.fleet.start(mirror.config, *command) for command in (WEB, RUN))
    eventually(lambda: "listening" in web.output(), what="web serves")
    eventually(mirror.chunks_partly_loaded, what="a chunk loaded in part")
    for process in (web, run):
        _ends_in_order(process)
    run.restart()
    mirror.end_identical(writer)


def test_a_child_that_is_frozen_does_not_hold_up_the_end_of_run(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=24)
    writer.preload(100)
    run = mirror.fleet.start(mirror.config, *RUN)
    mirror.wait_caught_up()
    children = _children(run.pid)
    for child in children:
        os.kill(child, signal.SIGSTOP)
    _ends_in_order(run)
    assert len(children) == 3
    assert not any(Path(f"/proc/{child}/exe").exists() for child in children)


_STOPPED: dict[str, Callable[[EmbeddedServers], Any]] = {
    "MongoDB": lambda servers: servers.mongodb,
    "Redis": lambda servers: servers.redis,
    "PostgreSQL": lambda servers: servers.postgresql,
}


@pytest.mark.parametrize("server", _STOPPED)
def test_while_a_server_is_stopped(
    server: str,
    own_servers: EmbeddedServers,
    own_endpoints: Endpoints,
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror, writer = make_mirror(own_endpoints, "shop"), make_writer(own_endpoints, "shop", seed=25)
    writer.preload(500)
    if server != "MongoDB":
        writer.start()
    processes = _all_kinds(mirror)
    mirror.wait_caught_up()
    away = _STOPPED[server](own_servers)
    away.stop()
    try:
        _all_end_in_order(processes)
    finally:
        away.start()
    _restarted(mirror)
    if server == "MongoDB":
        writer.start()
    mirror.wait_applied(300)
    mirror.end_identical(writer)


@pytest.mark.parametrize("server", _STOPPED)
def test_while_a_server_is_stalled(
    server: str,
    own_servers: EmbeddedServers,
    own_endpoints: Endpoints,
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    """It takes what it is sent and never answers: drivers wait for it for longer than there is time."""
    mirror, writer = make_mirror(own_endpoints, "shop"), make_writer(own_endpoints, "shop", seed=26)
    writer.preload(500)
    writer.start()
    processes = _all_kinds(mirror)
    mirror.wait_caught_up()
    with _stalled(_pids(server, own_servers)):
        _all_end_in_order(processes)
    _restarted(mirror)
    mirror.wait_applied(300)
    mirror.end_identical(writer)


@pytest.mark.parametrize("server", _STOPPED)
def test_at_start_while_a_server_is_stalled(
    server: str, own_servers: EmbeddedServers, own_endpoints: Endpoints, make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(own_endpoints, "shop")
    with _stalled(_pids(server, own_servers)):
        processes = _all_kinds(mirror)
        for process in processes:
            eventually(partial(_takes_sigterm, process), what=f"{process.name} takes signals")
        _all_end_in_order(processes)


def _all_kinds(mirror: Mirror) -> list[Process]:
    mirror.start()
    return [*mirror.processes, *(mirror.fleet.start(mirror.config, *command) for command in (WEB, RUN))]


def _restarted(mirror: Mirror) -> None:
    for process in mirror.processes:
        process.restart()


def _ends_in_order(process: Process) -> None:
    """Also one that is frozen at the moment at which it is told to end."""
    process.ask_to_end()
    assert process.wait(IN_TIME) == ExitCode.DONE, process.output()
    assert "Traceback" not in process.output()


def _all_end_in_order(processes: list[Process]) -> None:
    for process in processes:
        process.ask_to_end()
    end = time.monotonic() + IN_TIME
    for process in processes:
        assert process.wait(max(0.0, end - time.monotonic())) == ExitCode.DONE, process.output()


def _pids(server: str, servers: EmbeddedServers) -> list[int]:
    """The processes of a server; those of PostgreSQL's sessions are children of its first."""
    if server == "PostgreSQL":
        assert servers.postgresql.pid is not None
        return [servers.postgresql.pid, *_children(servers.postgresql.pid)]
    pids = servers.mongodb.pids if server == "MongoDB" else [servers.redis.pid]
    return [pid for pid in pids if pid is not None]


@contextmanager
def _stalled(pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    """Those of all its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def _takes_sigterm(process: Process) -> bool:
    """Whether it has a handler (SigCgt, proc(5))."""
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt:"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)
