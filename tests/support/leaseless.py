"""A tailer in the test process that asks nobody whether it leads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scheduler.process import make_tailer
from warp.config import Config
from warp.connections import open_connections
from warp.errors import Transient
from warp.process import Stop


@contextmanager
def tailer_without_lease(config: Config, schema: str) -> Iterator[None]:
    """It runs until the end of the block. Raises what ended it before."""
    connections = open_connections(config)
    stop = Stop()
    failures: list[Exception] = []
    tailer = make_tailer(config, schema, connections, stop)

    def work() -> None:
        while not stop.is_set():
            try:
                tailer.tick()
            except Transient:
                tailer.close()
            except Exception as error:
                failures.append(error)
                return

    thread = threading.Thread(target=work, name="second tailer")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        tailer.close()
        connections.close()
    assert not failures, failures
