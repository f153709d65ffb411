"""A program that relays TCP connections, and misbehaves when told to: `python relay.py`.

Told by lines of JSON on stdin, each answered by one on stdout; it ends with its stdin. A process of its own, for what
goes through it must not wait for a busy harness. `tests.chaos.proxies` is its handle.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from typing import Any

_HOST = "127.0.0.1"
_PIECE = 256 * 1024
_RESET = struct.pack("ii", 1, 0)


class Relay:
    """One port, whatever connects to which is connected to a server's."""

    def __init__(self, upstream: int, exempt: list[str]) -> None:
        """Connections that begin with a message which contains one of `exempt` are spared."""
        self.refusing = False
        self.delay = 0.0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._upstream = upstream
        self._exempt = [mark.encode() for mark in exempt]
        self._links: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        """Both ends of each connection that is not spared."""
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        """Take connections. Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._connected, _HOST, port, limit=_PIECE)

    async def refuse(self, refusing: bool, port: int) -> None:
        """Refuse new connections, or take them again."""
        self.refusing = refusing
        if self._exempt or self._server is None:
            return  # to be known, a connection must be taken first
        if refusing:
            self._server.close()
        else:
            await self.listen(port)

    def cut(self) -> None:
        """Reset every connection."""
        for ends in list(self._links.items()):
            for end in ends:
                _reset(end)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = b""
        upstream: asyncio.StreamWriter | None = None
        try:
            if self._exempt:
                first = await reader.read(_PIECE)
            spared = any(mark in first for mark in self._exempt)
            if self.refusing and not spared:
                _reset(writer)
                return
            answers, upstream = await asyncio.open_connection(_HOST, self._upstream, limit=_PIECE)
            if not spared:
                self._links[writer] = upstream
            pumps = {
                asyncio.create_task(self._pump(reader, upstream, spared, first)),
                asyncio.create_task(self._pump(answers, writer, spared, b"")),
            }
            _, other = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in other:
                pump.cancel()
            await asyncio.wait(pumps)
        except OSError:
            pass  # either end is away: so is the other
        finally:
            self._links.pop(writer, None)
            for end in (writer, upstream):
                if end is not None:
                    end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spared: bool, data: bytes
    ) -> None:
        with contextlib.suppress(OSError):
            while data := data or await reader.read(_PIECE):
                if not spared:
                    await self.flowing.wait()
                    if self.delay:
                        await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
                data = b""


def _reset(writer: asyncio.StreamWriter) -> None:
    taken = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed meanwhile
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _obey(relays: dict[int, Relay], order: dict[str, Any]) -> None:
    port = order["port"]
    match order["do"]:
        case "listen":
            relay = Relay(order["upstream"], order["exempt"])
            await relay.listen(port)
            relays[port] = relay
        case "cut":
            relays[port].cut()
        case "refuse":
            await relays[port].refuse(order["on"], port)
        case "delay":
            relays[port].delay = order["seconds"]
        case "stall":
            flowing = relays[port].flowing
            flowing.clear() if order["on"] else flowing.set()


async def _serve() -> None:
    relays: dict[int, Relay] = {}
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        try:
            await _obey(relays, json.loads(line))
            answer = ""
        except OSError as error:
            answer = str(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
