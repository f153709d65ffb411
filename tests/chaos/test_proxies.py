"""Proxies pass everything on, until they are told to cut, refuse, delay or stall; what is exempt they leave alone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.chaos.proxies import Proxies, Proxy


def _echo(server: socket.socket) -> None:
    def serve(taken: socket.socket) -> None:
        with closing(taken):
            try:
                while data := taken.recv(65_536):
                    taken.sendall(data)
            except OSError:
                return

    while True:
        try:
            taken, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(taken,), daemon=True).start()


@pytest.fixture
def upstream() -> Iterator[int]:
    """The port of a server that says what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_echo, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    """The process of the proxies."""
    with Proxies() as process:
        yield process


@pytest.fixture
def proxy(proxies: Proxies, upstream: int) -> Proxy:
    """A proxy of `upstream`."""
    return proxies.add(upstream, exempt=["friend"])


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def _told(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    heard = b""
    while len(heard) < len(text) and (piece := connection.recv(65_536)):
        heard += piece
    return heard


def test_everything_is_passed_on(proxy: Proxy) -> None:
    text = bytes(range(256)) * 5_000
    with _connect(proxy) as connection:
        assert _told(connection, b"hello") == b"hello"
        thread = threading.Thread(target=connection.sendall, args=(text,))
        thread.start()
        heard = b""
        while len(heard) < len(text):
            heard += connection.recv(65_536)
        thread.join()
        assert heard == text


def test_a_cut_resets_all_connections_but_the_exempt(proxy: Proxy) -> None:
    with _connect(proxy) as one, _connect(proxy) as other, _connect(proxy) as friend:
        for connection, name in ((one, b"one"), (other, b"other"), (friend, b"a friend")):
            assert _told(connection, name) == name
        proxy.cut()
        for connection in (one, other):
            with pytest.raises(ConnectionError):
                connection.recv(10)
        assert _told(friend, b"still there") == b"still there"
    with _connect(proxy) as connection:
        assert _told(connection, b"again") == b"again"


def test_refusing_ends_connections_and_lets_in_only_the_exempt(proxy: Proxy) -> None:
    with _connect(proxy) as before:
        assert _told(before, b"before") == b"before"
        with proxy.refusing():
            with pytest.raises(ConnectionError):
                before.recv(10)
            with _connect(proxy) as connection, pytest.raises(ConnectionError):
                _told(connection, b"hello")
            with _connect(proxy) as friend:
                assert _told(friend, b"a friend") == b"a friend"
    with _connect(proxy) as connection:
        assert _told(connection, b"again") == b"again"


def test_without_exemptions_a_connection_is_truly_refused(proxies: Proxies, upstream: int) -> None:
    proxy = proxies.add(upstream)
    with proxy.refusing(), pytest.raises(ConnectionRefusedError):
        _connect(proxy)
    with _connect(proxy) as connection:
        assert _told(connection, b"again") == b"again"


def test_stalled_data_is_taken_and_comes_later(proxy: Proxy) -> None:
    with _connect(proxy) as connection, _connect(proxy) as friend:
        assert _told(connection, b"one") == b"one"
        assert _told(friend, b"a friend") == b"a friend"
        with proxy.stalling():
            connection.sendall(b"two")
            with _connect(proxy) as newcomer:
                newcomer.sendall(b"three")
                assert _told(friend, b"meanwhile") == b"meanwhile"
                for waiting in (connection, newcomer):
                    waiting.settimeout(0.05)
                    with pytest.raises(TimeoutError):
                        waiting.recv(10)
        connection.settimeout(10)
        assert connection.recv(10) == b"two"


def test_delayed_data_comes_later(proxy: Proxy) -> None:
    with _connect(proxy) as connection:
        assert _told(connection, b"hello") == b"hello"
        started = time.monotonic()
        with proxy.delaying(0.1):
            assert _told(connection, b"slow") == b"slow"
        assert time.monotonic() - started >= 0.2


def test_a_server_that_is_away_ends_the_connection(proxies: Proxies) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = proxies.add(taken.getsockname()[1])
        with _connect(proxy) as connection:
            assert connection.recv(10) == b""
