"""Tables as they are made and widened. No column is dropped, no value is lost."""

from __future__ import annotations

from dataclasses import replace

import psycopg
from psycopg import sql

from warp.change import BEGINNING, TableRef
from warp.destinations.postgresql import history, widening
from warp.destinations.postgresql.errors import refusal, refuses_for_good
from warp.destinations.postgresql.facts import TableFacts
from warp.destinations.postgresql.names import TEXT, key_type, target
from warp.destinations.postgresql.rows import EXTRA, KEY, TS
from warp.destinations.postgresql.types import SQL_TYPES
from warp.errors import Fatal
from warp.evolution.decide import Decision, decide
from warp.evolution.infer import Seen
from warp.evolution.misfits import EMPTY, Assumed, Facts
from warp.evolution.rules import Layout, Rules
from warp.evolution.shape import Column, Shape
from warp.metadata import registry

LOCK_WAIT_MS = 2_000
"""For the table, at most. Whoever waits for it holds up all that come later, readers too; it is tried again."""

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
    # Where the table is written anew, that takes as long as it takes.
    connection.execute("SET LOCAL statement_timeout = 0")
    limit_lock_waits(connection)
    shape = registry.current(connection, ref)
    facts = TableFacts(connection, ref) if shape else EMPTY
    decision = decide(shape, seen, rules, facts)
    if not decision.changes:
        return decision
    if decision.before is None:
        # A table of that name may have been dropped.
        version = registry.version(connection, ref) + 1
        decision = replace(decision, after=replace(decision.after, version=version))
    if decision.before is None:
        _refuse_foreign(connection, ref)
    try:
        with connection.transaction():
            _carry_out(connection, ref, decision)
    except psycopg.Error as error:
        if not refuses_for_good(error) or not (decision.widened or _retypes_key(decision)):
            raise
        decision = _carry_out_less(connection, ref, seen, rules, facts, decision, error)
    if decision.changes:
        registry.record(connection, ref, decision.before, decision.after, cause, position)
    return decision


def _carry_out_less(
    connection: psycopg.Connection,
    ref: TableRef,
    seen: Seen,
    rules: Rules,
    facts: Facts,
    refused: Decision,
    error: psycopg.Error,
) -> Decision:
    """What can be done of a decision that was refused: a view or a constraint that somebody made rests on a column or
    on the key, or a row would not fit on its page any more. Raises what the last attempt does."""
    before = refused.before
    settled = Assumed(rewritable=False)
    if refused.widened:
        decision = decide(before, seen, rules, settled)
        try:
            with connection.transaction():
                _carry_out(connection, ref, decision)
            return decision
        except psycopg.Error as again:
            if not refuses_for_good(again) or not _retypes_key(decision):
                raise
            error = again
    if error.sqlstate in _NOT_OF_THE_KEY:
        raise error
    reason = refusal(error)
    decision = decide(before, seen, rules, facts, key_refused=reason)
    try:
        with connection.transaction():
            _carry_out(connection, ref, decision)
    except psycopg.Error as again:
        if not refuses_for_good(again) or not decision.widened:
            raise
        decision = decide(before, seen, rules, settled, key_refused=reason)
        _carry_out(connection, ref, decision)
    return decision


_NOT_OF_THE_KEY = frozenset({"42501", "42P01", "42703", "42809", "3F000"})
"""A privilege, the table or the column is missing: a person must act, and then it is done."""


def _retypes_key(decision: Decision) -> bool:
    return decision.before is not None and decision.widens_key and key_type(decision.before) != TEXT


def limit_lock_waits(connection: psycopg.Connection) -> None:
    """Let the transaction wait for no lock longer than LOCK_WAIT_MS. For what locks out even readers."""
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_WAIT_MS)))


def _carry_out(connection: psycopg.Connection, ref: TableRef, decision: Decision) -> None:
    if decision.widened:
        # Else doubles might be written with fewer digits than they have.
        connection.execute("SET LOCAL extra_float_digits = 1")
    for statement in statements(ref, decision):
        connection.execute(statement)


def statements(ref: TableRef, decision: Decision) -> list[sql.Composed]:
    """What carries a decision out."""
    if decision.before is None:
        schema = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(target(ref)[0]))
        return [schema, _create(ref, decision.after)]
    return _alter(ref, decision.before, decision)


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
    key = _TEXT_KEY if key_type(shape) == TEXT else key_type(shape)
    if shape.layout is Layout.HISTORY:
        return history.create(ref, shape, key)
    definitions: list[sql.Composable] = [
        sql.SQL("{} {} PRIMARY KEY").format(sql.Identifier(KEY), key),
        sql.SQL("{} bigint NOT NULL").format(sql.Identifier(TS)),
        sql.SQL("{} jsonb").format(sql.Identifier(EXTRA)),
        *map(_definition, shape.columns.values()),
    ]
    if shape.soft_delete:
        definitions.extend(map(sql.SQL, _SOFT_COLUMNS))
    return sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(*target(ref)), sql.SQL(", ").join(definitions))


def _alter(ref: TableRef, before: Shape, decision: Decision) -> list[sql.Composed]:
    """One statement; none where nothing is to be done to the table itself."""
    actions: list[sql.Composable] = [
        sql.SQL("ADD COLUMN {}").format(_definition(column)) for column in decision.new_columns
    ]
    if decision.after.soft_delete and not before.soft_delete:
        actions.extend(sql.SQL("ADD COLUMN {}").format(sql.SQL(column)) for column in _SOFT_COLUMNS)
    if decision.widens_key and key_type(before) != TEXT:
        actions.append(sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::text").format(sql.Identifier(KEY), _TEXT_KEY))
    actions.extend(widening.actions(decision.widened))
    if not actions:
        return []
    return [sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(*target(ref)), sql.SQL(", ").join(actions))]


_TEXT_KEY = sql.SQL('text COLLATE "C"')
"""Bytewise order: faster to compare, and the same on every machine."""


def _definition(column: Column) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(SQL_TYPES[column.kind]))
