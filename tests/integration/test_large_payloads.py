"""What takes longer to decode than a worker may be silent: PostgreSQL waits for it, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from pymongo.database import Database

from tests.integration.tables import PARTITION, TABLE, fitted, writes_of
from tests.integration.test_long_keys import again, letters, verified
from tests.support.pipeline import Pipeline
from tests.support.wait import eventually
from warp.destinations.postgresql import client
from warp.destinations.postgresql import transaction as write_path
from warp.destinations.postgresql.destination import PostgresDestination
from warp.destinations.postgresql.rows import lines
from warp.destinations.postgresql.transaction import PostgresTransaction
from warp.metadata.base import LetterState
from warp.sources.mongodb import events, reads
from workers.replay import Outcome

LARGE = "x" * (client.LARGE + 1)
LIMIT_MS = 1_000
_SILENT = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cartridge-warp' "
    "AND state LIKE 'idle in transaction%%' AND state_change < clock_timestamp() - %s * interval '1 ms'"
)


@contextmanager
def slow(pipeline: Pipeline, postgresql: psycopg.Connection, module: Any, name: str) -> Iterator[None]:
    """A worker is to be silent for a second at most, and decodes for longer."""
    decode = getattr(module, name)

    def is_silent() -> bool:
        return postgresql.execute(_SILENT, [LIMIT_MS + 300]).rowcount > 0

    def slowly(*arguments: Any, **named: Any) -> Any:
        eventually(is_silent, 15, what="a long silence")
        return decode(*arguments, **named)

    pipeline.connections.destination.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "IDLE_TIMEOUT_MS", LIMIT_MS)
        patch.setattr(module, name, slowly)
        yield
    pipeline.connections.destination.close()


def test_a_document_that_takes_long_to_decode_is_applied(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.tailer.tick()
    database["large"].insert_one({"_id": 1, "text": LARGE})
    with slow(pipeline, postgresql, events, "decode_events"):
        pipeline.follow("large", 1)
    assert verified(pipeline).identical


def test_a_document_that_takes_long_to_look_up_is_applied(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    database["large"].insert_one({"_id": 1, "text": LARGE})
    pipeline.load("large")
    database["large"].update_one({"_id": 1}, {"$set": {"n": 1}})
    with slow(pipeline, postgresql, reads, "_split"):
        pipeline.follow("large", 1)
    assert verified(pipeline).identical


def test_a_dead_letter_that_takes_long_to_decode_is_replayed(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.tailer.tick()
    database["large"].insert_one({"_id": 1})
    pipeline.follow("large", 1)
    table = f'"{database.name}".large'
    postgresql.execute(f"ALTER TABLE {table} ADD CONSTRAINT refuses CHECK (_id < 2)".encode())
    database["large"].insert_one({"_id": 2, "text": LARGE})
    pipeline.follow("large", 1)
    assert len(letters(pipeline, LetterState.OPEN)) == 1
    postgresql.execute(f"ALTER TABLE {table} DROP CONSTRAINT refuses".encode())
    with slow(pipeline, postgresql, events, "decode_events"):
        assert again(pipeline) == {Outcome.APPLIED}
    assert verified(pipeline).identical


def _limit(transaction: Any) -> str:
    assert isinstance(transaction, PostgresTransaction)
    row = transaction._connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    return str(row and row[0])


def test_a_worker_that_stands_still_in_a_usual_step_is_waited_for_as_briefly_as_ever(
    destination: PostgresDestination,
) -> None:
    with destination.transaction() as transaction:
        for _ in range(32):
            transaction.expect_decoding(1024 * 1024)
        assert _limit(transaction) == "10s"
        transaction.expect_decoding(16 * 10**6)
        assert _limit(transaction) == "170s"
    with destination.transaction() as transaction:
        assert _limit(transaction) == "10s"


def test_a_worker_with_many_payloads_says_that_it_is_alive(
    destination: PostgresDestination, postgresql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with destination.transaction() as transaction:
        _limit(transaction)
        asked = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        transaction.expect_decoding(1)
        assert str(postgresql.execute(asked).fetchone()).count("SHOW") == 1
        monkeypatch.setattr(client, "HEARTBEAT_SECONDS", 0.0)
        transaction.expect_decoding(1)
        assert str(postgresql.execute(asked).fetchone()).count("SET LOCAL") == 1


def test_a_copy_after_it_may_wait_for_longer(
    destination: PostgresDestination,
    another: PostgresDestination,
    postgresql: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientRead' "
    waiting += "AND state = 'active' AND query LIKE '%COPY%'"
    shape = fitted(destination, {"a": 1})
    ended: list[int] = []

    def slowly(*arguments: Any) -> Iterator[str]:
        yield from lines(*arguments)
        eventually(lambda: postgresql.execute(waiting.encode()).rowcount > 0, what="a COPY that waits")
        ended.append(another.end_stalled(0))

    monkeypatch.setattr(write_path, "lines", slowly)
    with destination.transaction() as transaction:
        assert transaction.lock_partition(PARTITION)
        transaction.expect_decoding(4 * 10**6)
        transaction.upsert(TABLE, shape, writes_of(1, {"one": {"a": 1}}))
    assert ended == [0]
