"""Databases with empty metadata tables, copied from a template that was migrated once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql

from warp.destinations.registry import open_destination
from warp.embedded import EmbeddedServers

_TEMPLATE = "migrated"


def make_template(servers: EmbeddedServers) -> None:
    """Make the database that `migrated_database` copies."""
    destination = open_destination("postgresql", servers.postgresql.create_database(_TEMPLATE))
    destination.migrate()
    destination.close()


def migrated_database(servers: EmbeddedServers) -> str:
    """Make a database with empty metadata tables; its connection string."""
    name = f"test_{uuid4().hex[:12]}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    with psycopg.connect(servers.postgresql.dsn, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(_TEMPLATE)))
    return f"{servers.postgresql.dsn.rpartition('/')[0]}/{name}"


def drop_database(servers: EmbeddedServers, dsn: str) -> None:
    """Drop a database, whoever is connected to it."""
    statement = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(dsn.rpartition("/")[2]))
    with psycopg.connect(servers.postgresql.dsn, autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def limited_role(dsn: str) -> Iterator[str]:
    """A role that may use the metadata of a database, and nothing else yet; its name. It goes with all that it owns."""
    name = f"role_{uuid4().hex[:12]}"
    statements = (
        "CREATE ROLE {} LOGIN",
        "GRANT USAGE ON SCHEMA cartridge_warp TO {}",
        "GRANT ALL ON ALL TABLES IN SCHEMA cartridge_warp TO {}",
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
        try:
            yield name
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
