"""The destinations under test, and what has to be known about each of them."""

from __future__ import annotations

import random
from typing import Protocol

from psycopg import sql

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

    def states(self, ref: TableRef) -> dict[str, tuple[int, bool]]:
        """Of each row the time, and whether it is softly deleted, by the text of its key."""

    def history(self, ref: TableRef) -> list[tuple[str, int, str, str, int | None]]:
        """The rows of a history in their order: key, time, position, operation, and as of when the document is."""

    def audit(self, ref: TableRef) -> list[str]:
        """What was done to the whole table, oldest first."""

    def drop_by_hand(self, ref: TableRef) -> None:
        """What a person can do to a table."""


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

    def states(self, ref: TableRef) -> dict[str, tuple[int, bool]]:
        rows = self.destination.database.rows.get(ref, {})
        return {key.text: (row.ts, row.is_deleted) for key, row in rows.items()}

    def history(self, ref: TableRef) -> list[tuple[str, int, str, str, int | None]]:
        return [
            (key.text, *place, entry.event.value, entry.record_ts)
            for key, entries in sorted(self.destination.database.histories.get(ref, {}).items())
            for place, entry in sorted(entries.items())
        ]

    def audit(self, ref: TableRef) -> list[str]:
        return [action for table, action in self.destination.database.audit if table == ref]

    def drop_by_hand(self, ref: TableRef) -> None:
        del self.destination.database.rows[ref]


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

    def states(self, ref: TableRef) -> dict[str, tuple[int, bool]]:
        shape = self.destination.tables(ref.schema).get(ref.table)
        if shape is None:
            return {}
        softly = sql.SQL("is_deleted" if shape.soft_delete else "false")
        query = sql.SQL("SELECT _id::text, _warp_ts, {} FROM {}").format(softly, sql.Identifier(*ref))
        with self.destination._client.connection() as connection:
            return {key: (ts, is_deleted) for key, ts, is_deleted in connection.execute(query)}

    def history(self, ref: TableRef) -> list[tuple[str, int, str, str, int | None]]:
        query = sql.SQL("SELECT _id, _warp_ts, position, operation, doc_ts FROM {} ORDER BY 1, 2, 3")
        with self.destination._client.connection() as connection:
            return connection.execute(query.format(sql.Identifier(*ref))).fetchall()

    def audit(self, ref: TableRef) -> list[str]:
        with self.destination._client.connection() as connection:
            found = connection.execute(
                "SELECT action FROM cartridge_warp.audit_log WHERE schema_name = %s AND table_name = %s ORDER BY id",
                [*ref],
            )
            return [action for (action,) in found]

    def drop_by_hand(self, ref: TableRef) -> None:
        with self.destination._client.connection() as connection:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(*ref)))
