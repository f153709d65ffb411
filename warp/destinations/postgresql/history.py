"""Tables that keep their history: a row for each change, only ever added.

The last row of a key says what its document is. Rows may be added in any order, and any number of times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from warp.change import TS_COUNTER_BITS, TableRef, Write
from warp.destinations.base import Written
from warp.destinations.postgresql.names import key_cell, key_type, parametric, target
from warp.destinations.postgresql.rows import EXTRA, KEY, TS, columns, lines
from warp.destinations.postgresql.types import NULL, SQL_TYPES, escape
from warp.evolution.rules import DOCUMENT_FIELD
from warp.evolution.shape import Shape
from warp.history import ENDS, FIRST, Event, HistoryRow
from warp.values import Kind

_COMMITTED, _HASH = "committed_at", "position_hash"
_TYPES = {
    KEY: "",
    TS: "bigint",
    "position": "text",
    "operation": "text",
    _COMMITTED: SQL_TYPES[Kind.TIMESTAMP],
    DOCUMENT_FIELD: SQL_TYPES[Kind.JSON],
    "doc_ts": "bigint",
    EXTRA: SQL_TYPES[Kind.JSON],
    _HASH: "uuid",
}
_MORE = {
    TS: "NOT NULL",
    "position": 'COLLATE "C" NOT NULL',
    "operation": "NOT NULL",
    _COMMITTED: f"GENERATED ALWAYS AS (to_timestamp({TS} >> {TS_COUNTER_BITS})) STORED",
    # Positions are long, and those of long keys very long: an index takes 2,704 bytes.
    _HASH: "GENERATED ALWAYS AS (md5(position)::uuid) STORED",
}
_ONE_ROW = sql.SQL("({}, {}, {})").format(*map(sql.Identifier, (KEY, TS, _HASH)))
_NAMES = {"key": sql.Identifier(KEY), "ts": sql.Identifier(TS)}


def column_types(shape: Shape) -> dict[str, str]:
    """The columns of such a table, each with its type."""
    return _TYPES | {KEY: key_type(shape).as_string()}


def create(ref: TableRef, shape: Shape, key: sql.SQL) -> sql.Composed:
    """The statement that makes such a table; `key` is what defines its key column."""
    definitions = [sql.SQL("{} {}").format(sql.Identifier(KEY), key)]
    for name, kind in _TYPES.items():
        if name != KEY:
            definitions.append(sql.SQL(f"{{}} {kind} {_MORE.get(name, '')}").format(sql.Identifier(name)))
    return sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY {})").format(
        sql.Identifier(*target(ref)), sql.SQL(", ").join(definitions), _ONE_ROW
    )


def history_lines(shape: Shape, rows: Sequence[HistoryRow], written: Written) -> Iterator[str]:
    """One line of COPY text for each row, with the columns of `columns`; see `rows.lines`."""
    documents = (Write(row.key, row.ts, row.record or {}) for row in rows)
    for row, line in zip(rows, lines(shape, documents, written), strict=True):
        yield f"{line}\t{escape(row.position)}\t{row.event}\t{NULL if row.record_ts is None else row.record_ts}"


def append(connection: psycopg.Connection, ref: TableRef, shape: Shape, stage: sql.Identifier) -> int:
    """Add what a staging table holds; how many rows were not there yet."""
    return connection.execute(
        _APPEND.format(
            table=sql.Identifier(*target(ref)),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns(shape))),
            stage=stage,
            load=sql.Literal(Event.LOAD.value),
            first=sql.Literal(FIRST),
            once=_ONE_ROW,
            **_NAMES,
        )
    ).rowcount


_APPEND = sql.SQL(
    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {stage} AS new WHERE new.operation <> {load} OR NOT EXISTS ("
    "SELECT FROM {table} AS held WHERE held.{key} = new.{key} AND held.{ts} >= new.{ts} "
    "AND (held.{ts} > new.{ts} OR held.position <> {first})) "
    "ON CONFLICT {once} DO NOTHING"
)


def lock_ends(connection: psycopg.Connection, ref: TableRef, *, shared: bool) -> None:
    """Whoever ends all documents of a table has this alone; whoever adds to what may have ended, with others."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(sql.SQL(f"SELECT {function}(hashtextextended({{}}, 0))").format(sql.Literal(str(ref))))


def end_late(connection: psycopg.Connection, ref: TableRef, shape: Shape, rows: Sequence[HistoryRow]) -> None:
    """End the documents of rows that came when their table had been dropped, or swept, already."""
    if not (late := _late(connection, ref, rows)):
        return
    lock_ends(connection, ref, shared=True)
    cells = sorted({key_cell(shape, row.key) for row in late})
    # Once more, and alone with it: it may have been dropped, or swept, since.
    kept, floor = _ended(connection, ref)
    for event, ts, condition in ((Event.DROP, kept, _before(kept)), (Event.GONE, floor, _ALL)):
        if ts:
            connection.execute(_end(ref, last_of(ref, shape, (KEY, TS, "operation"), condition), event, ts), [cells])


def _late(connection: psycopg.Connection, ref: TableRef, rows: Sequence[HistoryRow]) -> list[HistoryRow]:
    ended = max(_ended(connection, ref))
    return [row for row in rows if row.ts < ended] if ended else []


def _ended(connection: psycopg.Connection, ref: TableRef) -> tuple[int, int]:
    """When the source dropped the table, and the floor as of which it was, or can be, swept; 0: never."""
    row = connection.execute(_ENDED, [*ref]).fetchone()
    return (row[0], row[1]) if row else (0, 0)


_ENDED = """
    SELECT kept_ts, CASE WHEN snapshot = 'planned' OR EXISTS (
        SELECT FROM cartridge_warp.snapshot_chunks AS chunk WHERE chunk.schema_name = known.schema_name
        AND chunk.table_name = known.table_name AND chunk.finished_at IS NULL) THEN 0 ELSE floor_ts END
    FROM cartridge_warp.sync_tables AS known WHERE schema_name = %s AND table_name = %s
"""


def end_dropped(connection: psycopg.Connection, ref: TableRef, ts: int) -> int:
    """End the documents that a table had when the source dropped it at `ts`; how many those were."""
    return _end_all(connection, ref, Event.DROP, ts, _before(ts), None)


def sweep(connection: psycopg.Connection, ref: TableRef, floor: int, limit: int) -> int:
    """End up to `limit` documents that have no row since `floor`; how many those were."""
    return _end_all(connection, ref, Event.GONE, floor, _ALL, limit)


def _end_all(
    connection: psycopg.Connection, ref: TableRef, event: Event, ts: int, condition: sql.SQL, limit: int | None
) -> int:
    lock_ends(connection, ref, shared=False)
    connection.execute("SET LOCAL statement_timeout = 0")
    query = _end(ref, last_of_all(ref, (KEY, TS, "operation"), condition), event, ts, limit)
    return connection.execute(query, []).rowcount


_ALL = sql.SQL("true")


def _before(ts: int) -> sql.SQL:
    return sql.SQL(f"{TS} < {ts}")


def _end(ref: TableRef, last: sql.Composed, event: Event, ts: int, limit: int | None = None) -> sql.Composed:
    return _END.format(
        table=parametric(*target(ref)),
        last=last,
        end=sql.Literal(ts),
        first=sql.Literal(FIRST),
        event=sql.Literal(event.value),
        ends=sql.SQL(", ").join(sql.Literal(end.value) for end in sorted(ENDS)),
        limit=sql.SQL("ALL") if limit is None else sql.Literal(limit),
        once=_ONE_ROW,
        **_NAMES,
    )


_END = sql.SQL(
    "INSERT INTO {table} ({key}, {ts}, position, operation) SELECT {key}, {end}, {first}, {event} "
    "FROM ({last}) AS last WHERE last.{ts} < {end} AND last.operation NOT IN ({ends}) LIMIT {limit} "
    "ON CONFLICT {once} DO NOTHING"
)


def last_of_all(ref: TableRef, names: Sequence[str], condition: sql.SQL = _ALL) -> sql.Composed:
    """The query for these columns of the last row of each key; for a statement with parameters."""
    return _LAST_OF_ALL.format(columns=_columns(names), table=parametric(*target(ref)), condition=condition, **_NAMES)


def last_of(ref: TableRef, shape: Shape, names: Sequence[str], condition: sql.SQL = _ALL) -> sql.Composed:
    """The same for the keys that the statement's parameter lists."""
    return _LAST_OF.format(
        columns=_columns(names),
        table=parametric(*target(ref)),
        type=key_type(shape),
        condition=condition,
        **_NAMES,
    )


def _columns(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(parametric, names))


_LAST_OF_ALL = sql.SQL(
    "SELECT DISTINCT ON ({key}) {columns} FROM {table} WHERE {condition} ORDER BY {key} DESC, {ts} DESC, position DESC"
)
_LAST_OF = sql.SQL(
    "SELECT held.* FROM unnest(%s::{type}[]) AS wanted (key) CROSS JOIN LATERAL (SELECT {columns} FROM {table} "
    "WHERE {key} = wanted.key AND {condition} ORDER BY {ts} DESC, position DESC LIMIT 1) AS held"
)
