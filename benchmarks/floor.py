"""The bare floor: what MongoDB's change stream and PostgreSQL's COPY and upsert take when nothing else is done."""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Callable
from typing import Any

from bson import CodecOptions, Timestamp
from bson.raw_bson import RawBSONDocument
from psycopg import sql

from benchmarks.measures import Rate, What
from benchmarks.rig import Rig
from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import COLLECTION, DATABASE

STEP_ROWS = 5000
"""Rows of one transaction: the default batch size."""
_RAW = CodecOptions(document_class=RawBSONDocument)


def stream(rig: Rig, part: str, begin: Timestamp, changes: int) -> Rate:
    """So many changes, written from `begin` on, read from the change stream and dropped. No fleet may be running."""
    return _timed(rig, part, What.STREAM_FLOOR, changes, lambda: _drain(rig, begin, changes))


def upsert(rig: Rig, part: str, rows: int, *, full: bool) -> Rate:
    """So many rows of the mirrored table upserted into another one, empty, or `full` of them. No fleet may be running.

    In their order, or at random into the full one, and sorted within a step, as the worker does it.
    """
    lines = _lines(rig, rows)
    _prepare(rig, full=full)
    if full:
        random.Random(1).shuffle(lines)
    steps = [b"".join(sorted(lines[at : at + STEP_ROWS])) for at in range(0, len(lines), STEP_ROWS)]
    return _timed(rig, part, What.UPSERT_FLOOR, len(lines), lambda: _upsert(rig, steps))


def _timed(rig: Rig, part: str, what: What, items: int, work: Callable[[], None]) -> Rate:
    watch = Stopwatch(rig, client=os.getpid())
    work()
    return watch.rate(part, what, items, ended=time.monotonic())


def _drain(rig: Rig, begin: Timestamp, changes: int) -> None:
    """Read so many events as raw BSON, whole replies at a time, as the tailer does, and drop them."""
    database = rig.mongodb[DATABASE]
    opening = {"aggregate": 1, "pipeline": [{"$changeStream": {"startAtOperationTime": begin}}], "cursor": {}}
    with rig.mongodb.start_session(causal_consistency=False) as session:
        cursor: Any = database.command(opening, session=session, codec_options=_RAW)["cursor"]
        seen = sum(1 for _ in cursor["firstBatch"])
        following = {"getMore": cursor["id"], "collection": "$cmd.aggregate", "maxTimeMS": 1000}
        while seen < changes:
            reply: Any = database.command(following, session=session, codec_options=_RAW)
            seen += sum(1 for event in reply["cursor"]["nextBatch"] if event.raw)


def _lines(rig: Rig, limit: int) -> list[bytes]:
    """Rows of the mirrored table as lines of COPY text, so that nothing has to be encoded."""
    query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY number DESC LIMIT {}) TO STDOUT").format(
        _columns(rig), sql.Identifier(DATABASE, COLLECTION), limit
    )
    with rig.postgresql.cursor() as cursor, cursor.copy(query) as copy:
        text = b"".join(bytes(block) for block in copy)
    return list(reversed(io.BytesIO(text).readlines()))


def _prepare(rig: Rig, *, full: bool) -> None:
    """A table like the mirrored one, full or empty, and its stage."""
    names = {"floor": sql.Identifier(DATABASE, "floor"), "table": sql.Identifier(DATABASE, COLLECTION)}
    rig.postgresql.execute(sql.SQL("CREATE TABLE {floor} (LIKE {table} INCLUDING ALL)").format(**names))
    if full:
        rig.postgresql.execute(sql.SQL("INSERT INTO {floor} TABLE {table}").format(**names))
    rig.postgresql.execute(
        sql.SQL("CREATE TEMPORARY TABLE stage ON COMMIT DELETE ROWS AS TABLE {table} WITH NO DATA").format(**names)
    )


def _upsert(rig: Rig, steps: list[bytes]) -> None:
    columns = _columns(rig)
    copy_in = sql.SQL("COPY stage ({}) FROM STDIN").format(columns)
    upsert = sql.SQL(
        "INSERT INTO {floor} AS held ({columns}) SELECT {columns} FROM stage ON CONFLICT (_id) DO UPDATE SET "
        "{assignments} WHERE held._warp_ts <= excluded._warp_ts"
    ).format(
        floor=sql.Identifier(DATABASE, "floor"),
        columns=columns,
        assignments=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in _names(rig) if name != "_id"
        ),
    )
    for step in steps:
        with rig.postgresql.transaction(), rig.postgresql.cursor() as cursor:
            with cursor.copy(copy_in) as copy:
                copy.write(step)
            cursor.execute(upsert)


def _columns(rig: Rig) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, _names(rig)))


def _names(rig: Rig) -> list[str]:
    rows = rig.postgresql.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum",
        [f'"{DATABASE}"."{COLLECTION}"'],
    )
    return [name for (name,) in rows]
