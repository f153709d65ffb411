"""PostgreSQL looked at and left as it is: `warp.destinations.survey.Survey`, in transactions that are read only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from warp.change import Key, TableRef, Write
from warp.destinations.base import Written
from warp.destinations.postgresql import ddl, history
from warp.destinations.postgresql.client import Client
from warp.destinations.postgresql.errors import SERVER
from warp.destinations.postgresql.names import key_type, qualified, quoted, schema_identifier, target
from warp.destinations.postgresql.rows import EXTRA, KEY, TS, lines
from warp.destinations.postgresql.types import SQL_TYPES
from warp.destinations.survey import MetadataTables, ShapeVersion
from warp.evolution.decide import Decision
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.metadata import registry
from warp.metadata.migrate import METADATA_SCHEMA, migrations, require_migrated
from warp.values import Kind

LONGEST_KEY = 2_704
"""Bytes that an index takes; more only where PostgreSQL can compress them."""
_SOFT_TYPES = {"is_deleted": SQL_TYPES[Kind.BOOL], "deleted_at": SQL_TYPES[Kind.TIMESTAMP]}


def open_survey(connection_string: str) -> PostgresSurvey:
    """Connect lazily: the first call finds out whether the server is there."""
    return PostgresSurvey(Client(connection_string))


class PostgresSurvey:
    """See `warp.destinations.survey.Survey` for the contract of each method."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def server(self) -> str:
        return f"{SERVER} {self._scalar('SHOW server_version')}".split(" (")[0]

    def metadata_tables(self) -> MetadataTables:
        with self._reading() as connection:
            if not _made(connection, "migrations"):
                return MetadataTables.CREATE
            applied = {number for (number,) in connection.execute("SELECT number FROM cartridge_warp.migrations")}
            if {migration.number for migration in migrations()} - applied:
                return MetadataTables.UPDATE
            require_migrated(connection)
        return MetadataTables.KEEP

    def shapes(self, schema: str) -> Mapping[str, Shape]:
        with self._reading() as connection:
            return registry.shapes(connection, schema) if _made(connection, "schema_registry") else {}

    def target(self, ref: TableRef) -> str:
        return qualified(ref)

    def target_schema(self, schema: str) -> str:
        return quoted(schema_identifier(schema))

    def exists(self, ref: TableRef) -> bool:
        query = (
            "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname = %s AND relname = %s"
        )
        return bool(self._scalar(query, *target(ref)))

    def refusals(self, schemas: Iterable[str]) -> list[str]:
        refusals = []
        missing = []
        for name in (METADATA_SCHEMA, *map(schema_identifier, schemas)):
            if self._scalar("SELECT to_regnamespace(%s) IS NULL", quoted(name)):
                missing.append(quoted(name))
            elif not self._scalar("SELECT has_schema_privilege(%s, 'CREATE')", name):
                refusals.append(f"no table may be created in the schema {quoted(name)}: grant CREATE on it")
        if missing and not self._scalar("SELECT has_database_privilege(current_database(), 'CREATE')"):
            refusals.append(f"the schemas {', '.join(missing)} may not be created: grant CREATE on the database")
        return refusals

    def columns(self, shape: Shape) -> dict[str, str]:
        if shape.layout is Layout.HISTORY:
            return history.column_types(shape)
        own = {KEY: key_type(shape).as_string(), TS: "bigint", EXTRA: SQL_TYPES[Kind.JSON]}
        fields = {column.name: SQL_TYPES[column.kind] for column in shape.columns.values()}
        return own | fields | (_SOFT_TYPES if shape.soft_delete else {})

    def actual_columns(self, ref: TableRef) -> dict[str, str] | None:
        with self._reading() as connection:
            found = connection.execute(_ACTUAL_COLUMNS, [qualified(ref)]).fetchall()
        return dict(found) or None

    def versions(self, schema: str) -> list[ShapeVersion]:
        with self._reading() as connection:
            return registry.versions(connection, schema)

    def ddl(self, ref: TableRef, before: Shape | None, after: Shape) -> list[str]:
        had = before.columns if before else {}
        new = tuple(column for field, column in after.columns.items() if field not in had)
        decision = Decision(before=before, after=after, new_columns=new)
        return [statement.as_string() for statement in ddl.statements(ref, decision)] if decision.changes else []

    def long_keys(self, keys: Iterable[Key]) -> list[tuple[Key, int]]:
        # A letter has four bytes at most.
        candidates = (key for key in keys if len(key.text) * 4 > LONGEST_KEY)
        lengths = ((key, len(key.text.encode("utf-8", "surrogateescape"))) for key in candidates)
        return [(key, length) for key, length in lengths if length > LONGEST_KEY]

    def fitted(self, shape: Shape, writes: Iterable[Write]) -> Written:
        written = Written()
        for _ in lines(shape, writes, written):
            pass
        return written

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _reading(self) -> Iterator[psycopg.Connection]:
        with self._client.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            yield connection

    def _scalar(self, query: str, *values: object) -> Any:
        with self._reading() as connection:
            row = connection.execute(query.encode(), values).fetchone()
        return row[0] if row else None


_ACTUAL_COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


def _made(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{METADATA_SCHEMA}.{table}"]).fetchone()
    return bool(row and row[0])
