"""Numbered migrations of the metadata tables: `NNN_name.sql`, each applied once, in one transaction with its record."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

import psycopg
from psycopg import sql

from warp.errors import Fatal

METADATA_SCHEMA = "cartridge_warp"
"""The PostgreSQL schema of the metadata tables. No source schema may have this name."""

_LOCK = 0x63775F6D6967
"""Advisory lock number ("cw_mig"): two `migrate` at once take turns."""


class Migration(NamedTuple):
    """One file of `migrations/`."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """All migrations there are, in order."""
    found = []
    for file in files("warp.metadata").joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text()))
    return sorted(found)


def migrate(connection: psycopg.Connection) -> list[Migration]:
    """Bring the metadata tables up to date; returns what was applied, which is nothing the second time.

    `connection` is in autocommit mode.
    """
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(METADATA_SCHEMA)))
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(METADATA_SCHEMA)))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations "
            "(number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        missing = [migration for migration in migrations() if migration.number not in _applied(connection)]
        for migration in missing:
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO migrations (number, name) VALUES (%s, %s)", [migration.number, migration.name]
            )
    return missing


def require_migrated(connection: psycopg.Connection) -> None:
    """Raises Fatal, with the remedy, where the metadata tables are older or newer than this program."""
    exists = connection.execute("SELECT to_regclass(%s)", [f"{METADATA_SCHEMA}.migrations"]).fetchone()
    applied: set[int] = set()
    if exists and exists[0]:
        rows = connection.execute(
            sql.SQL("SELECT number FROM {}").format(sql.Identifier(METADATA_SCHEMA, "migrations"))
        )
        applied = {row[0] for row in rows}
    known = {migration.number for migration in migrations()}
    if known - applied:
        raise Fatal("the metadata tables are missing or out of date", remedy="run: cartridge-warp migrate")
    if applied - known:
        raise Fatal(
            "the metadata tables were made by a newer cartridge-warp", remedy="install that version or a newer one"
        )


def _applied(connection: psycopg.Connection) -> set[int]:
    return {row[0] for row in connection.execute("SELECT number FROM migrations")}
