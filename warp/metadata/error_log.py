"""`error_log`: what went wrong, each error once, with how often and when. Within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import psycopg
from psycopg.rows import class_row

from warp.metadata.base import DeadLetter, LoggedError

KEPT = 1000
"""Errors of one schema that are kept, the newest."""

_RECORD = (
    "INSERT INTO cartridge_warp.error_log AS kept "
    "(schema_name, table_name, error_class, error, remedy, correlation_id, occurrences) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s) "
    "ON CONFLICT (schema_name, coalesce(table_name, ''), error_class, md5(error)) DO UPDATE SET last_at = now(), "
    "occurrences = kept.occurrences + excluded.occurrences, remedy = excluded.remedy, "
    "correlation_id = coalesce(excluded.correlation_id, kept.correlation_id)"
)


def keep(
    connection: psycopg.Connection,
    schema: str,
    table: str | None,
    error: Exception,
    remedy: str | None,
    correlation_id: str | None,
    times: int = 1,
) -> None:
    """Keep an error that was met so many times."""
    connection.execute(_RECORD, [schema, table, type(error).__name__, str(error), remedy, correlation_id, times])


def record(
    connection: psycopg.Connection,
    schema: str,
    table: str | None,
    error: Exception,
    remedy: str | None,
    correlation_id: str | None,
) -> None:
    """Keep an error, and forget the oldest where there are too many. Nothing else may follow in the transaction."""
    keep(connection, schema, table, error, remedy, correlation_id)
    connection.execute(
        "DELETE FROM cartridge_warp.error_log WHERE id IN (SELECT id FROM cartridge_warp.error_log "
        "WHERE schema_name = %s ORDER BY last_at DESC, id DESC OFFSET %s)",
        [schema, KEPT],
    )


def record_parked(connection: psycopg.Connection, letters: Sequence[DeadLetter]) -> None:
    """Keep the errors of dead letters."""
    found = Counter((*letter.ref, letter.error_class, letter.error) for letter in letters)
    last = {(*letter.ref, letter.error_class, letter.error): letter for letter in letters}
    # In one order by all, so that two who park do not deadlock.
    for key in sorted(found):
        connection.execute(_RECORD, [*key, last[key].remedy, last[key].correlation_id, found[key]])


def newest(connection: psycopg.Connection, schema: str, limit: int) -> list[LoggedError]:
    """The errors of a schema that were met last, newest first."""
    with connection.cursor(row_factory=class_row(LoggedError)) as cursor:
        return cursor.execute(
            "SELECT schema_name AS schema, table_name AS table, error_class, error, remedy, correlation_id, first_at, "
            "last_at, occurrences FROM cartridge_warp.error_log WHERE schema_name = %s "
            "ORDER BY last_at DESC, id DESC LIMIT %s",
            [schema, limit],
        ).fetchall()
