"""The proxies between the fleet and its servers: where they listen, and what they are made to do to connections."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tests.chaos import relay
from warp.embedded.process import PortTaken, start_on_free_port

_END_SECONDS = 5.0


class Proxies:
    """The process that all proxies live in, and die with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", relay.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def add(self, upstream: int, *, exempt: Sequence[str] = ()) -> Proxy:
        """A proxy of a port; connections whose first message contains one of `exempt` are never disturbed.

        Such a proxy must take every connection to know it: it refuses by a reset after the first message.
        """
        port = start_on_free_port(lambda port: self.order("listen", port, upstream=upstream, exempt=list(exempt)))
        return Proxy(self, port)

    def order(self, do: str, port: int, **parameters: Any) -> None:
        """Tell the process to do something with a port, and wait until it has. Raises PortTaken where it cannot."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps({"do": do, "port": port, **parameters}) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        if answer:
            raise PortTaken(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class Proxy:
    """One of them."""

    def __init__(self, proxies: Proxies, port: int) -> None:
        self.port = port
        self._proxies = proxies

    def cut(self) -> None:
        """Reset all connections; new ones are taken at once."""
        self._proxies.order("cut", self.port)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Within the block there is no connection, and no new one."""
        self._proxies.order("refuse", self.port, on=True)
        self.cut()
        try:
            yield
        finally:
            self._proxies.order("refuse", self.port, on=False)

    @contextmanager
    def delaying(self, seconds: float) -> Iterator[None]:
        """Within the block every piece of data comes so much later, in both directions."""
        self._proxies.order("delay", self.port, seconds=seconds)
        try:
            yield
        finally:
            self._proxies.order("delay", self.port, seconds=0.0)

    @contextmanager
    def stalling(self) -> Iterator[None]:
        """Within the block connections and data are taken, and nothing is passed on; it is afterwards."""
        self._proxies.order("stall", self.port, on=True)
        try:
            yield
        finally:
            self._proxies.order("stall", self.port, on=False)
