"""A connection to PostgreSQL as this project uses it: reconnecting, with time-outs, and giving JSON back as text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import make_conninfo

from warp.config.secrets import redact
from warp.destinations.postgresql.errors import translated
from warp.errors import Fatal
from warp.sources.base import StoredJson

CONNECT_TIMEOUT = 5
LOCK_TIMEOUT_MS = 10_000
"""A step waits this long for a lock somebody else holds, then is tried again: nothing waits for ever."""
STATEMENT_TIMEOUT_MS = 60_000
"""Many times what the largest step takes; what may take longer sets its own."""
IDLE_TIMEOUT_MS = 10_000
"""A worker that is frozen between two statements of a step holds its partition for this long."""
IDLE_MS_PER_MB = 10_000
"""So much longer it may be silent for each megabyte of a payload that is large: one may take seconds to decode."""
LARGE = 2 * 1024 * 1024
"""Bytes: only one document, or an event of one, makes a payload so large."""
HEARTBEAT_SECONDS = 1.0
"""After so long without a statement, a worker with more to decode says that it is alive."""
APPLICATION = "cartridge-warp"
_KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""The server's: else the locks of a worker whose host is cut off within a COPY would be held for two hours."""


class _JsonText(Loader):
    """jsonb as the text that PostgreSQL sends."""

    def load(self, data: bytes | bytearray | memoryview) -> StoredJson:
        return StoredJson(bytes(data).decode())


class Client:
    """One connection, made when it is first needed and again after it broke. For one thread."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection | None = None
        self.where = redact(dsn)
        self.generation = 0
        """Grows with every new connection: what lived in the session (temporary tables) is gone then."""

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """The connection, in autocommit mode; errors come out translated, and a broken connection is given up."""
        with translated(self.where):
            connection = self._open()
            try:
                yield connection
            except psycopg.errors.ReadOnlySqlTransaction:
                # A standby, since a failover: of several hosts the next connection finds the primary.
                self.close()
                raise
            finally:
                if connection.broken:
                    self.close()

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._conninfo(),
                autocommit=True,
                options=(
                    f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS} "
                    f"-c client_min_messages=warning -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS} "
                    f"{_KEEPALIVES}"
                ),
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                tcp_user_timeout=30_000,
            )
            self._connection.adapters.register_loader("jsonb", _JsonText)
            self.generation += 1
        return self._connection

    def _conninfo(self) -> str:
        try:
            return make_conninfo(self._dsn, connect_timeout=CONNECT_TIMEOUT, application_name=APPLICATION)
        except psycopg.ProgrammingError:
            # libpq quotes what it does not understand, which may be the password: hence no cause either.
            raise Fatal(
                "destination.connection_string is not one that PostgreSQL's client takes",
                remedy="percent-encode what is special in a URL, the password above all",
            ) from None

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
