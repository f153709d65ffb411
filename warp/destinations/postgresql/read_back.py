"""Rows read back as the values of their documents: what `verify` compares. All within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import orjson
import psycopg
from psycopg import sql

from warp.change import Key, TableRef
from warp.destinations.postgresql import history
from warp.destinations.postgresql.names import (
    cell_key,
    field_name,
    fits_key_column,
    key_cell,
    key_type,
    parametric,
    target,
)
from warp.destinations.postgresql.rows import EXTRA, KEY, TS
from warp.evolution.rules import Layout
from warp.evolution.shape import Column, Shape
from warp.metadata import registry
from warp.sources.base import StoredJson, StoredRow
from warp.values import Kind, ObjectIdText, Value, json_bytes

BATCH = 10_000
"""Keys in one list."""


def lock_shape(connection: psycopg.Connection, ref: TableRef) -> Shape | None:
    """The table's shape, which stands still to the end of the transaction; None where there is no table."""
    shape = registry.current(connection, ref)
    if shape is None:
        return None
    try:
        with connection.transaction():
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(*target(ref))))
    except psycopg.errors.UndefinedTable:
        if registry.version(connection, ref) == shape.version:
            raise
        return lock_shape(connection, ref)
    # It may have changed just before.
    return shape if registry.version(connection, ref) == shape.version else registry.current(connection, ref)


def rows(connection: psycopg.Connection, ref: TableRef, shape: Shape, keys: Sequence[Key]) -> dict[Key, StoredRow]:
    """The rows of those keys."""
    cells = {key_cell(shape, key): key for key in keys if fits_key_column(shape, key)}
    columns = list(shape.columns.items())
    names = [column.name for _, column in columns]
    if shape.layout is Layout.HISTORY:
        found_in = sql.SQL("({}) AS last WHERE {}").format(
            history.last_of(ref, shape, (KEY, EXTRA, *names, "doc_ts")), _alive(ref, shape)
        )
    else:
        found_in = sql.SQL("{} WHERE {} = ANY(%s::{}[]) AND {}").format(
            parametric(*target(ref)), sql.Identifier(KEY), key_type(shape), _alive(ref, shape)
        )
    query = sql.SQL("SELECT {key}::text, {extra}{columns} FROM {found_in}").format(
        key=sql.Identifier(KEY),
        extra=sql.Identifier(EXTRA),
        columns=sql.SQL("").join(sql.SQL(", {}").format(parametric(name)) for name in names),
        found_in=found_in,
    )
    found = connection.execute(query, [list(cells)])
    return {cells[cell]: _row(columns, extra, values) for cell, extra, *values in found}


def keys(connection: psycopg.Connection, ref: TableRef, shape: Shape) -> Iterator[list[Key]]:
    """The keys of all rows, by a server-side cursor."""
    query = sql.SQL("SELECT {}::text FROM {}").format(sql.Identifier(KEY), _present(ref, shape))
    with connection.cursor(name=f"keys_{uuid4().hex}") as cursor:
        # Whoever reads them may take its time between two lists.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute(query, [])
        while batch := cursor.fetchmany(BATCH):
            yield [cell_key(shape, cell) for (cell,) in batch]


def count(connection: psycopg.Connection, ref: TableRef, shape: Shape) -> int:
    """How many rows there are."""
    return _counted(connection, _present(ref, shape))


def kept(connection: psycopg.Connection, ref: TableRef, shape: Shape) -> int:
    """How many rows there are from before the source dropped their table."""
    if shape.layout is Layout.HISTORY:
        return 0
    before = sql.SQL("{} WHERE {}").format(parametric(*target(ref)), _since_drop(ref, shape, "<"))
    return _counted(connection, before)


def _counted(connection: psycopg.Connection, found_in: sql.Composed) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(found_in)
    connection.execute("SET LOCAL statement_timeout = 0")
    row = connection.execute(query, []).fetchone()
    return int(row[0]) if row else 0


def _present(ref: TableRef, shape: Shape) -> sql.Composed:
    if shape.layout is Layout.HISTORY:
        last = history.last_of_all(ref, (KEY, "doc_ts"))
        return sql.SQL("({}) AS last WHERE {}").format(last, _alive(ref, shape))
    return sql.SQL("{} WHERE {}").format(parametric(*target(ref)), _alive(ref, shape))


def _alive(ref: TableRef, shape: Shape) -> sql.SQL:
    """Neither softly deleted, nor kept from a table that the source dropped; in a history, not ended."""
    if shape.layout is Layout.HISTORY:
        return sql.SQL("doc_ts IS NOT NULL")
    return _since_drop(ref, shape, ">=")


def _since_drop(ref: TableRef, shape: Shape, compared: Literal["<", ">="]) -> sql.SQL:
    """Not softly deleted, and from before or after the time up to which rows are kept."""
    condition = sql.SQL(
        "{ts} {compared} coalesce((SELECT kept_ts FROM cartridge_warp.sync_tables "
        "WHERE schema_name = {schema} AND table_name = {table}), 0){softly}"
    ).format(
        compared=sql.SQL(compared),
        ts=sql.Identifier(TS),
        schema=sql.Literal(ref.schema),
        table=sql.Literal(ref.table),
        softly=sql.SQL(" AND NOT is_deleted" if shape.soft_delete else ""),
    )
    # A statement with parameters takes a single per cent sign for one of them.
    return sql.SQL(condition.as_string().replace("%", "%%"))


def _row(columns: Sequence[tuple[str, Column]], extra: StoredJson | None, values: Sequence[Any]) -> StoredRow:
    row: dict[str, Value | StoredJson] = {
        name: _value(column.kind, value)
        for (name, column), value in zip(columns, values, strict=True)
        if value is not None
    }
    if extra is not None:
        fields: Mapping[str, Any] = orjson.loads(extra.text)
        row.update({field_name(name): StoredJson(json_bytes(value).decode()) for name, value in fields.items()})
    return row


def _value(kind: Kind, value: Any) -> Value | StoredJson:
    match kind:
        case Kind.OBJECT_ID:
            return ObjectIdText(value)
        case Kind.TIMESTAMP:
            assert isinstance(value, datetime)
            return value.astimezone(UTC).replace(tzinfo=None)
        case _:
            return value  # type: ignore[no-any-return]
