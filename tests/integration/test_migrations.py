"""The metadata tables of a real PostgreSQL: made once, by however many, and required by everything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest

from tests.support.postgresql import drop_database
from warp.destinations.postgresql.destination import PostgresDestination, open_destination
from warp.embedded import EmbeddedServers
from warp.errors import Fatal
from warp.metadata.migrate import METADATA_SCHEMA, migrations


@pytest.fixture
def empty(servers: EmbeddedServers) -> Iterator[str]:
    """The connection string of a database without metadata tables."""
    dsn = servers.postgresql.create_database(f"empty_{uuid4().hex[:12]}")
    yield dsn
    drop_database(servers, dsn)


@pytest.fixture
def unmigrated(empty: str) -> Iterator[PostgresDestination]:
    """That database as a destination."""
    destination = open_destination(empty)
    yield destination
    destination.close()


def _columns(dsn: str) -> dict[str, set[str]]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns "
            "WHERE table_schema = %s GROUP BY 1",
            [METADATA_SCHEMA],
        ).fetchall()
    return {table: set(columns) for table, columns in found}


def _written() -> dict[str, set[str]]:
    """The tables and columns as the migrations' text has them."""
    tables: dict[str, set[str]] = {}
    for migration in migrations():
        for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", migration.text, re.DOTALL):
            tables[name] = set(re.findall(r"^    ([a-z_]+) ", body, re.MULTILINE))
        for name, body in re.findall(r"ALTER TABLE (\w+)\n(.*?);", migration.text, re.DOTALL):
            tables[name] |= set(re.findall(r"ADD COLUMN (\w+)", body))
    return tables


def test_the_metadata_tables_are_those_of_the_migrations(unmigrated: PostgresDestination, empty: str) -> None:
    unmigrated.migrate()
    tables = _columns(empty)
    assert tables.pop("migrations") == {"number", "name", "applied_at"}
    assert tables == _written()
    assert {"sync_schemas", "sync_tables", "sync_markers", "snapshot_chunks", "dead_letters"} <= tables.keys()


def test_migrations_are_numbered_without_a_gap() -> None:
    there = [file for file in files("warp.metadata").joinpath("migrations").iterdir() if file.name.endswith(".sql")]
    assert [migration.number for migration in migrations()] == list(range(1, len(there) + 1))


def test_migrating_again_changes_nothing(unmigrated: PostgresDestination, empty: str) -> None:
    assert len(unmigrated.migrate()) == len(migrations())
    with psycopg.connect(empty) as connection:
        applied = connection.execute("SELECT * FROM cartridge_warp.migrations").fetchall()
    before = _columns(empty)
    assert unmigrated.migrate() == []
    unmigrated.require_migrated()
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT * FROM cartridge_warp.migrations").fetchall() == applied
    assert _columns(empty) == before


def test_two_that_migrate_at_once_take_turns(empty: str) -> None:
    def migrate(_: int) -> int:
        destination = open_destination(empty)
        try:
            return len(destination.migrate())
        finally:
            destination.close()

    with ThreadPoolExecutor(4) as threads:
        done = sorted(threads.map(migrate, range(4)))
    assert done == [0, 0, 0, len(migrations())]


def test_a_database_that_is_not_migrated_is_fatal_with_the_remedy(unmigrated: PostgresDestination) -> None:
    with pytest.raises(Fatal) as refused:
        unmigrated.require_migrated()
    assert refused.value.remedy == "run: cartridge-warp migrate"


def test_a_database_of_a_newer_version_is_fatal(unmigrated: PostgresDestination, empty: str) -> None:
    unmigrated.migrate()
    with psycopg.connect(empty) as connection:
        connection.execute("INSERT INTO cartridge_warp.migrations (number, name) VALUES (9999, 'of the future')")
    with pytest.raises(Fatal, match="newer") as refused:
        unmigrated.require_migrated()
    assert refused.value.remedy
