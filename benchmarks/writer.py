"""A process of its own that writes changes as fast as MongoDB takes them, beside the fleet."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from pymongo import MongoClient

from benchmarks.workload import DATABASE, Command

_spawn = multiprocessing.get_context("spawn")
Kind = Callable[[range], Iterator[Command]]
"""`inserts` or `updates` of `benchmarks.workload`."""


class Writer:
    """A writer that has its changes ready."""

    def __init__(self, pid: int, channel: Connection) -> None:
        self.pid = pid
        self._channel = channel

    def go(self) -> None:
        """Begin to write."""
        self._channel.send(None)

    def seconds(self) -> float:
        """Wait until everything is written; how long it took. Raises EOFError if the writer has died."""
        return float(self._channel.recv())


@contextmanager
def writer(uri: str, kind: Kind, numbers: range) -> Iterator[Writer]:
    """A writer of inserts or updates of these orders, prepared, and ended on the way out."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_write_when_told, args=(theirs, uri, kind, numbers), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()
        assert process.pid is not None
        yield Writer(process.pid, ours)
    finally:
        ours.close()
        process.kill()
        process.join()


def write(client: MongoClient[dict[str, Any]], commands: Iterable[Command]) -> None:
    """Send write commands one after the other. Raises RuntimeError if one of them fails in part."""
    for command in commands:
        reply = client[DATABASE].command(command)
        if reply.get("writeErrors"):
            raise RuntimeError(f"MongoDB refused a write: {reply['writeErrors'][0]['errmsg']}")


def _write_when_told(channel: Connection, uri: str, kind: Kind, numbers: range) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    commands = list(kind(numbers))
    with MongoClient[dict[str, Any]](uri) as client:
        client.admin.command("ping")
        channel.send(None)
        channel.recv()
        started = time.monotonic()
        write(client, commands)
        channel.send(time.monotonic() - started)
        # Its CPU time is read while it is still there; it is ended by who started it.
        signal.pause()
