"""The destinations under test, and what has to be known about each of them."""

from __future__ import annotations

import random
from typing import Protocol

from warp.change import Key, KeyKind, TableRef
from warp.destinations.base import Destination
from warp.destinations.postgresql.destination import PostgresDestination
from warp.embedded import EmbeddedServers
from warp.testing import MemoryDestination


class DestinationBench(Protocol):
    """A destination, and how to find out what its contract does not give away."""

    @property
    def destination(self) -> Destination:
        """The destination."""

    def another(self) -> Destination:
        """The same destination over another connection."""

    def fresh(self) -> Destination:
        """Another destination, which was never migrated."""

    def poison_key(self) -> Key:
        """A key whose document it can never store."""

    def tombstones(self, ref: TableRef) -> int:
        """How many tombstones there are."""


class MemoryDestinationBench:
    """The in-memory destination."""

    def __init__(self) -> None:
        self.destination = MemoryDestination()
        self.destination.migrate()

    def another(self) -> Destination:
        return MemoryDestination(self.destination.database)

    def fresh(self) -> Destination:
        return MemoryDestination()

    def poison_key(self) -> Key:
        key = Key(KeyKind.STRING, "poison")
        self.destination.database.poison.add(key)
        return key

    def tombstones(self, ref: TableRef) -> int:
        return len(self.destination.database.tombstones.get(ref, {}))


class PostgresBench:
    """A PostgreSQL database."""

    def __init__(self, dsn: str, servers: EmbeddedServers) -> None:
        self.destination = PostgresDestination(dsn)
        self._dsn = dsn
        self._servers = servers

    def another(self) -> Destination:
        return PostgresDestination(self._dsn)

    def fresh(self) -> Destination:
        return PostgresDestination(self._servers.postgresql.create_database("never_migrated"))

    def poison_key(self) -> Key:
        # More than an index of PostgreSQL takes, and of a kind that compression does not make smaller.
        return Key(KeyKind.STRING, random.Random(1).randbytes(8000).hex())

    def tombstones(self, ref: TableRef) -> int:
        with self.destination._client.connection() as connection:
            row = connection.execute(
                "SELECT count(*) FROM cartridge_warp.tombstones WHERE schema_name = %s AND table_name = %s", [*ref]
            ).fetchone()
        assert row is not None
        return int(row[0])
