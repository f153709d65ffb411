"""`schema_registry`: the shape of each table, one row per version."""

from __future__ import annotations

import orjson
import psycopg

from warp.change import TableRef
from warp.evolution.shape import Shape


def current(connection: psycopg.Connection, ref: TableRef) -> Shape | None:
    """The latest shape of a table; None where it has never been made, or is forgotten."""
    row = connection.execute(
        "SELECT version, shape::text FROM cartridge_warp.schema_registry "
        "WHERE schema_name = %s AND table_name = %s ORDER BY version DESC LIMIT 1",
        [ref.schema, ref.table],
    ).fetchone()
    shape = orjson.loads(row[1]) if row else None
    return Shape.from_json(row[0], shape) if row and shape else None


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
    latest = ((table, version, orjson.loads(shape)) for table, version, shape in found)
    return {table: Shape.from_json(version, shape) for table, version, shape in latest if shape}


def forget(connection: psycopg.Connection, ref: TableRef, cause: str) -> None:
    """Note that the table is there no more: as a version without a shape, so that no version comes twice."""
    connection.execute(
        "INSERT INTO cartridge_warp.schema_registry (schema_name, table_name, version, shape, cause) "
        "VALUES (%s, %s, %s, 'null', %s)",
        [ref.schema, ref.table, version(connection, ref) + 1, cause],
    )


def record(connection: psycopg.Connection, ref: TableRef, shape: Shape, cause: str) -> None:
    """Keep a new version."""
    connection.execute(
        "INSERT INTO cartridge_warp.schema_registry (schema_name, table_name, version, shape, cause) "
        "VALUES (%s, %s, %s, %s::jsonb, %s)",
        [ref.schema, ref.table, shape.version, orjson.dumps(shape.to_json()).decode(), cause],
    )
