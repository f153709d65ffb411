"""Several at one table: workers that meet the same at once, and somebody who reads it for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pymongo.database import Database

from tests.integration.evolving import SETTINGS, Worker
from tests.integration.tables import TABLE, columns
from tests.support.pipeline import Pipeline
from tests.support.wait import eventually
from warp.change import Partition, Record
from warp.destinations.postgresql import ddl
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Transient
from warp.evolution.rules import Conflict
from warp.metadata import registry
from warp.process import Stop
from warp.transport.base import Wakeup, apply_wakeup
from warp.values import Kind
from warp.verify import verify_schema
from workers import drain
from workers.drain import Drain

WORKERS = 6
_MEETS: list[Record] = [{"v": 0.5}, {"v": Decimal("0.5")}, {"v": "text"}, {"v": True}, {"v": 7}, {"v": 2**60}]


@pytest.mark.parametrize("conflict", [Conflict.EXTRA, Conflict.TEXT, Conflict.JSONB])
@pytest.mark.parametrize("same", [True, False])
def test_workers_that_meet_the_same_at_once_agree(
    same: bool, conflict: Conflict, destination: PostgresDestination, postgresql: psycopg.Connection, pg_dsn: str
) -> None:
    first = Worker(destination)
    first.write(first={"v": 1})
    documents: dict[str, Record] = {
        f"d{number}": {**_MEETS[0 if same else number], "new": number, "other": "x", "own" if same else f"f{number}": 1}
        for number in range(WORKERS)
    }
    together = threading.Barrier(WORKERS)

    def write(name: str) -> None:
        with closing(PostgresDestination(pg_dsn)) as own:
            worker = Worker(own, replace(SETTINGS, conflict=conflict), ts=1)
            together.wait()
            eventually(lambda: _passing(lambda: worker.write(**{name: documents[name]})), what="the write")

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(write, documents))
    assert first.holds(first={"v": 1}, **documents)
    versions = registry.versions(postgresql, TABLE.schema)
    assert [version.version for version in versions] == list(range(1, len(versions) + 1))
    for before, after in pairwise(versions):
        assert after.before == before.after
    shape = first.shape()
    assert shape == versions[-1].after
    fields = {"v", "new", "other", *(["own"] if same else [f"f{number}" for number in range(WORKERS)])}
    assert shape.columns.keys() == fields
    assert columns(postgresql).keys() == {"_id", "_warp_ts", "_extra", *fields}
    if same:
        assert (shape.columns["v"].kind, len(versions)) == (Kind.DOUBLE, 3), "new fields once, and the misfit once"
    elif conflict is not Conflict.EXTRA:
        assert shape.columns["v"].kind is (Kind.TEXT if conflict is Conflict.TEXT else Kind.ANY)


def _passing(work: Callable[[], object]) -> bool:
    """Whether it went through; as a worker does, it is tried again where it can pass."""
    try:
        work()
    except Transient:
        return False
    return True


@contextmanager
def reading(dsn: str, table: sql.Identifier) -> Iterator[psycopg.Connection]:
    """Somebody reads a table, and goes on for as long as the block lasts."""
    with psycopg.connect(dsn) as reader:
        reader.execute(sql.SQL("SELECT count(*) FROM {}").format(table))
        yield reader
        reader.rollback()


@pytest.mark.parametrize("brings", [{"new": "x"}, {"v": 0.5}], ids=["a column", "another type"])
def test_who_reads_a_table_for_long_holds_up_nobody_else(
    brings: dict[str, Any],
    pipeline: Pipeline,
    database: Database[dict[str, Any]],
    postgresql: psycopg.Connection,
    pg_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ddl, "LOCK_WAIT_MS", 300)
    monkeypatch.setattr(drain, "PATIENCE_SECONDS", 0.0)
    work = {name: apply_wakeup(Partition(pipeline.schema, name, 0, 1)) for name in ("held", "other")}
    worker = _drain(pipeline)
    pipeline.tailer.tick()
    for name in work:
        database[name].insert_one({"_id": 1, "v": 1})
    _send(pipeline, work)
    for wakeup in work.values():
        worker.apply(wakeup, "cid")
    held = sql.Identifier(pipeline.schema, "held")
    with reading(pg_dsn, held):
        for name in work:
            database[name].insert_one({"_id": 2, **brings})
        _send(pipeline, work)
        with ThreadPoolExecutor(1) as thread:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
            at_work = thread.submit(worker.apply, work["held"], "cid")
            eventually(lambda: postgresql.execute(waiting).fetchone() == (1,), what="a wait for the table")
            # In line behind the one that waits, and let in once it has let go.
            postgresql.execute("SET lock_timeout = '5s'")
            assert postgresql.execute(sql.SQL("SELECT count(*) FROM {}").format(held)).fetchone() == (1,)
            at_work.result(60)
        worker.apply(work["other"], "cid")
        assert _rows(postgresql, pipeline, "other") == 2, "another table is served meanwhile"
        assert _rows(postgresql, pipeline, "held") == 1
        assert pipeline.connections.logs.read(work["held"].partition, None, 1), "the log keeps what is not applied"
    worker.apply(work["held"], "cid")
    assert _rows(postgresql, pipeline, "held") == 2
    connections = pipeline.connections
    results = verify_schema(
        connections.source, connections.destination, pipeline.schema, patience=0, wait=lambda _: None
    )
    assert [(result.table, result.identical) for result in results] == [("held", True), ("other", True)]
    shapes = connections.destination.tables(pipeline.schema)
    assert shapes["held"].columns == shapes["other"].columns


def _drain(pipeline: Pipeline) -> Drain:
    connections = pipeline.connections
    metadata = connections.destination.metadata
    return Drain(pipeline.applier, pipeline.loader, connections.logs, connections.wakeups, metadata, stop=Stop())


def _send(pipeline: Pipeline, work: dict[str, Wakeup]) -> None:
    """Have the change of each table in its log."""

    def sent() -> bool:
        pipeline.tailer.tick()
        return all(pipeline.connections.logs.read(wakeup.partition, None, 1) for wakeup in work.values())

    eventually(sent, what="the changes in the logs")


def _rows(postgresql: psycopg.Connection, pipeline: Pipeline, table: str) -> int:
    counted = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(pipeline.schema, table))
    row = postgresql.execute(counted).fetchone()
    assert row is not None
    return int(row[0])
