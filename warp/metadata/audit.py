"""`audit_log`: what was done to whole tables, and by hand. One row for each act, committed with it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import psycopg


def record(
    connection: psycopg.Connection, schema: str, table: str | None, action: str, detail: Mapping[str, object]
) -> None:
    """Keep an act; `detail` is JSON without document values."""
    connection.execute(
        "INSERT INTO cartridge_warp.audit_log (schema_name, table_name, action, detail) VALUES (%s, %s, %s, %s::jsonb)",
        [schema, table, action, orjson.dumps(detail).decode()],
    )
