"""Databases with empty metadata tables, copied from a template that was migrated once."""

from __future__ import annotations

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
