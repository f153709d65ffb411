"""`schema_registry`: the shape of each table, one row per version."""

from __future__ import annotations

import orjson
import psycopg

from warp.change import TableRef
from warp.destinations.survey import ShapeVersion
from warp.evolution.shape import Shape
from warp.metadata import ledger


def current(connection: psycopg.Connection, ref: TableRef) -> Shape | None:
    """The latest shape of a table; None where it has never been made, or is forgotten."""
    row = connection.execute(
        "SELECT version, shape::text FROM cartridge_warp.schema_registry "
        "WHERE schema_name = %s AND table_name = %s ORDER BY version DESC LIMIT 1",
        [ref.schema, ref.table],
    ).fetchone()
    return _shape(*row) if row else None


def version(connection: psycopg.Connection, ref: TableRef) -> int:
    """The latest version of a table; 0 where it has never been made."""
    row = connection.execute(
        "SELECT max(version) FROM cartridge_warp.schema_registry WHERE schema_name = %s AND table_name = %s", [*ref]
    ).fetchone()
    return int(row[0] or 0) if row else 0


def shapes(connection: psycopg.Connection, schema: str) -> dict[str, Shape]:
    """The latest shape of every table of a schema."""
    found = connection.execute(
        "SELECT DISTINCT ON (table_name) table_name, version, shape::text FROM cartridge_warp.schema_registry "
        "WHERE schema_name = %s ORDER BY table_name, version DESC",
        [schema],
    )
    latest = ((table, _shape(number, shape)) for table, number, shape in found)
    return {table: shape for table, shape in latest if shape}


def forget(connection: psycopg.Connection, ref: TableRef, cause: str) -> None:
    """Note that the table is there no more: as a version without a shape, so that no version comes twice."""
    _insert(connection, ref, version(connection, ref) + 1, current(connection, ref), None, cause, None)
    ledger.forget(connection, ref)


def record(
    connection: psycopg.Connection, ref: TableRef, before: Shape | None, after: Shape, cause: str, position: str
) -> None:
    """Keep a new version, and where in the stream it was needed: BEGINNING for what a first load has read."""
    _insert(connection, ref, after.version, before, after, cause, position)


def versions(connection: psycopg.Connection, schema: str) -> list[ShapeVersion]:
    """Every version of every table of a schema, by table, and then the oldest first."""
    found = connection.execute(
        "SELECT table_name, version, before::text, shape::text, cause, position, created_at "
        "FROM cartridge_warp.schema_registry WHERE schema_name = %s ORDER BY table_name, version",
        [schema],
    )
    return [
        ShapeVersion(
            ref=TableRef(schema, table),
            version=number,
            before=_shape(number - 1, before),
            after=_shape(number, after),
            cause=cause,
            position=position,
            at=at,
        )
        for table, number, before, after, cause, position, at in found
    ]


def _insert(
    connection: psycopg.Connection,
    ref: TableRef,
    number: int,
    before: Shape | None,
    after: Shape | None,
    cause: str,
    position: str | None,
) -> None:
    connection.execute(
        "INSERT INTO cartridge_warp.schema_registry (schema_name, table_name, version, before, shape, cause, position) "
        "VALUES (%s, %s, %s, %s::jsonb, %s::jsonb, %s, %s)",
        [*ref, number, _json(before), _json(after), cause, position],
    )


def _json(shape: Shape | None) -> str:
    return orjson.dumps(shape.to_json() if shape else None).decode()


def _shape(number: int, json: str | None) -> Shape | None:
    shape = orjson.loads(json) if json else None
    return Shape.from_json(number, shape) if shape else None
