"""Tables as they are made and widened. Every statement only adds: no column is dropped, no value is lost."""

from __future__ import annotations

from dataclasses import replace

import psycopg
from psycopg import sql

from warp.change import BEGINNING, TableRef
from warp.destinations.postgresql.names import target
from warp.destinations.postgresql.rows import EXTRA, KEY, TS
from warp.destinations.postgresql.transaction import key_type
from warp.destinations.postgresql.types import SQL_TYPES
from warp.errors import Fatal
from warp.evolution.decide import Decision, decide
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.evolution.shape import Column, Shape
from warp.metadata import registry

_SOFT_COLUMNS = ("is_deleted boolean NOT NULL DEFAULT false", "deleted_at timestamp with time zone")


def evolve(
    connection: psycopg.Connection,
    ref: TableRef,
    seen: Seen,
    rules: Rules,
    *,
    cause: str,
    position: str = BEGINNING,
) -> Decision:
    """Decide on the present shape and carry it out, within the caller's transaction; one at a time for each table."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('shape ' || %s, 0))", [str(ref)])
    # A key that becomes text rewrites the table, however long that takes.
    connection.execute("SET LOCAL statement_timeout = 0")
    decision = decide(registry.current(connection, ref), seen, rules)
    if not decision.changes:
        return decision
    if decision.before is None:
        # A table of that name may have been dropped.
        version = registry.version(connection, ref) + 1
        decision = replace(decision, after=replace(decision.after, version=version))
    if decision.before is None:
        _refuse_foreign(connection, ref)
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(target(ref)[0])))
        connection.execute(_create(ref, decision.after))
    else:
        connection.execute(_alter(ref, decision.before, decision))
    registry.record(connection, ref, decision.before, decision.after, cause, position)
    return decision


def exists(connection: psycopg.Connection, ref: TableRef) -> bool:
    """Whether there is a table, or anything else, of that name, whoever made it."""
    found = connection.execute(
        "SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %s AND relname = %s",
        [*target(ref)],
    )
    return found.rowcount > 0


def _refuse_foreign(connection: psycopg.Connection, ref: TableRef) -> None:
    if exists(connection, ref):
        schema, table = target(ref)
        raise Fatal(
            f'PostgreSQL already has a table "{schema}"."{table}" that cartridge-warp did not make',
            remedy="rename it or drop it; cartridge-warp never writes into a table it did not make",
        )


def _create(ref: TableRef, shape: Shape) -> sql.Composed:
    key = sql.SQL("bigint") if key_type(shape) == sql.SQL("bigint") else _TEXT_KEY
    definitions: list[sql.Composable] = [
        sql.SQL("{} {} PRIMARY KEY").format(sql.Identifier(KEY), key),
        sql.SQL("{} bigint NOT NULL").format(sql.Identifier(TS)),
        sql.SQL("{} jsonb").format(sql.Identifier(EXTRA)),
        *map(_definition, shape.columns.values()),
    ]
    if shape.soft_delete:
        definitions.extend(map(sql.SQL, _SOFT_COLUMNS))
    return sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(*target(ref)), sql.SQL(", ").join(definitions))


def _alter(ref: TableRef, before: Shape, decision: Decision) -> sql.Composed:
    actions: list[sql.Composable] = [
        sql.SQL("ADD COLUMN {}").format(_definition(column)) for column in decision.new_columns
    ]
    if decision.after.soft_delete and not before.soft_delete:
        actions.extend(sql.SQL("ADD COLUMN {}").format(sql.SQL(column)) for column in _SOFT_COLUMNS)
    if decision.widens_key and key_type(before) == sql.SQL("bigint"):
        actions.append(sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::text").format(sql.Identifier(KEY), _TEXT_KEY))
    if not actions:
        return sql.SQL("SELECT").format()
    return sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(*target(ref)), sql.SQL(", ").join(actions))


_TEXT_KEY = sql.SQL('text COLLATE "C"')
"""Bytewise order: faster to compare, and the same on every machine."""


def _definition(column: Column) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(SQL_TYPES[column.kind]))
