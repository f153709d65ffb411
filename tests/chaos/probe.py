"""How long the mirror takes to be itself again: documents written now, and the wait until all of them are visible.

There are so many in each table that every partition has one, for any number of partitions that divides RESIDUES.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from tests.chaos.attempts import Attempts
from tests.chaos.operations import Kind, Operation
from tests.chaos.shares import Share
from tests.chaos.workload import Workload
from warp.sources.mongodb.codec import hash_of, key_of

RESIDUES = 12
_POLL_SECONDS = 0.05
_BODY = {"$inc": {"count": 1}, "$setOnInsert": {"list": [], "nested": {}}}


class Probe:
    """Probe documents in every collection of a workload."""

    def __init__(self, workload: Workload, dsn: str, pause: Callable[[float], object]) -> None:
        """`dsn` past the proxies; `pause` lets so many seconds pass."""
        self._record = workload.record
        self._attempts = Attempts(workload.client, workload.record, threading.Event())
        self._documents = {share.collection.full_name: _spread(share) for share in workload.shares}
        self._shares = workload.shares
        self._dsn = dsn
        self._pause = pause

    def seconds(self, deadline: float) -> float | None:
        """Write to every collection, and wait until PostgreSQL shows it all; the seconds it took, or None."""
        started = time.monotonic()
        since = self._record.stamp()
        for share in self._shares:
            self._attempts.bulk(share.collection, self._documents[share.collection.full_name])
        waiting = list(self._shares)
        while waiting:
            if time.monotonic() - started > deadline:
                return None
            waiting = self._not_visible(waiting, since)
            if waiting:
                self._pause(_POLL_SECONDS)
        return time.monotonic() - started

    def _not_visible(self, shares: Sequence[Share], since: int) -> list[Share]:
        left = list(shares)
        try:
            with psycopg.connect(self._dsn, options="-c lock_timeout=1000", connect_timeout=5) as connection:
                for share in shares:
                    if self._visible(connection, share, since) < RESIDUES:
                        break
                    left.remove(share)
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            pass  # not there just now
        return left

    def _visible(self, connection: psycopg.Connection, share: Share, since: int) -> int:
        table = sql.Identifier(share.collection.database.name, share.collection.name)
        query = sql.SQL("SELECT count(*) FROM {} WHERE doc = ANY(%s) AND stamp > %s").format(table)
        docs = [doc for operation in self._documents[share.collection.full_name] for doc in operation.docs]
        row = connection.execute(query, (docs, since)).fetchone()
        assert row is not None
        return int(row[0])


def _spread(share: Share) -> list[Operation]:
    """Upserts of documents whose keys fall into all partitions."""
    keys: dict[int, object] = {}
    while len(keys) < RESIDUES:
        key = share.profile.key(share.rng)
        keys.setdefault(hash_of(key_of(key)) % RESIDUES, key)
    name = share.collection.full_name
    return [Operation(Kind.UPSERT, {f"{name}/probe-{residue}": key}, _BODY) for residue, key in keys.items()]
