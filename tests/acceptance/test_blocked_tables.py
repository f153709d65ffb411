"""A table that is altered by hand says what to do; the others go on; once it is undone, all catches up by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pymongo.database import Database

from tests.acceptance.conftest import MakeMirror
from tests.support.compare import assert_identical
from tests.support.endpoints import Endpoints
from tests.support.fleet import Fleet
from tests.support.mirror import Mirror
from tests.support.postgresql import limited_role
from tests.support.readiness import Readiness
from tests.support.wait import eventually

MARK = 1024 * 1024
"""The high-water mark of the logs."""
DOCUMENTS = 3_000
ALTERED = pytest.mark.parametrize(
    ("by_hand", "undone", "reason", "remedy"),
    [
        (
            "ALTER TABLE {table} RENAME COLUMN v TO w",
            "ALTER TABLE {table} RENAME COLUMN w TO v",
            'column "v"',
            "a column was dropped or renamed by hand: bring it back",
        ),
        ("REVOKE INSERT ON {table} FROM {role}", "GRANT INSERT ON {table} TO {role}", "permission denied", "grant the"),
    ],
    ids=["column renamed", "privilege revoked"],
)


def _write(database: Database[dict[str, Any]], start: int) -> None:
    """More than the high-water mark for each collection."""
    for name in ("carts", "orders"):
        for first in range(start, start + DOCUMENTS, 500):
            documents = [{"_id": number, "v": number, "text": "x" * 1000} for number in range(first, first + 500)]
            database[name].insert_many(documents)


def _status(mirror: Mirror) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    code, output = mirror.fleet.run(mirror.config, "status", "--json")
    assert code == 0, output
    [schema] = json.loads(output.splitlines()[-1])["schemas"]
    return schema, {table["name"]: table for table in schema["tables"]}


@ALTERED
def test_a_table_that_is_altered_by_hand(
    by_hand: str,
    undone: str,
    reason: str,
    remedy: str,
    endpoints: Endpoints,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    fleet: Fleet,
) -> None:
    with limited_role(endpoints.pg_dsn) as role, psycopg.connect(endpoints.pg_dsn, autocommit=True) as by_us:
        names = {"role": sql.Identifier(role), "table": sql.Identifier(database.name, "orders")}

        def execute(statement: str) -> None:
            by_us.execute(sql.SQL(statement).format(**names))

        def rows(table: str) -> Callable[[], int]:
            return lambda: mirror.number(f'SELECT count(*) FROM "{database.name}"."{table}"')

        execute(f'GRANT CREATE ON DATABASE "{by_us.info.dbname}" TO {{role}}')
        limited = replace(endpoints, pg_dsn=endpoints.pg_dsn.replace("postgres@", f"{role}@"))
        settings = {"log_high_water_mark": MARK, "monitoring": {"log_format": "json"}}
        mirror = make_mirror(limited, database.name, **settings)
        for name in ("carts", "orders"):
            database[name].insert_one({"_id": 0, "v": 0, "text": ""})
        mirror.start().wait_caught_up()
        web = Readiness(fleet.start(mirror.config, "web", "--port", "0"))
        eventually(web.ready, what="ready")

        execute(by_hand)
        _write(database, 1)
        eventually(lambda: rows("carts")() == DOCUMENTS + 1, what="the other table caught up, beyond the mark")
        assert rows("orders")() == 1

        check = web.red(f"table {database.name}.orders")
        assert reason in check["reason"]
        assert check["remedy"].startswith(remedy)
        assert web.gauge(f'cartridge_warp_table_blocked{{schema="{database.name}",table="orders"}}') == 1
        assert web.gauge(f'cartridge_warp_table_blocked{{schema="{database.name}",table="carts"}}') == 0
        schema, tables = _status(mirror)
        assert (tables["orders"]["state"], tables["carts"]["state"]) == ("blocked", "streaming")
        assert reason in tables["orders"]["blocked"]["reason"]
        assert tables["orders"]["blocked"]["remedy"].startswith(remedy)
        [kept] = [error for error in schema["errors"] if error["table"] == "orders"]
        assert (kept["class"], kept["remedy"]) == ("Fatal", tables["orders"]["blocked"]["remedy"])
        assert kept["correlation_id"]
        assert kept["occurrences"] < 20, "not in a hot loop"

        by_us.execute("UPDATE cartridge_warp.sync_schemas SET advanced_at = advanced_at - interval '1 hour'")
        stall = web.red(f"schema {database.name}")
        assert "nothing can be applied to orders: " in stall["reason"]

        execute(undone)
        mirror.wait_caught_up()
        eventually(web.ready, what="ready again")
        _, tables = _status(mirror)
        assert (tables["orders"]["state"], tables["orders"]["blocked"]) == ("streaming", None)
        assert assert_identical(mirror.config) == {
            (database.name, "carts"): DOCUMENTS + 1,
            (database.name, "orders"): DOCUMENTS + 1,
        }
        assert all(process.running for process in mirror.processes)
