"""A table that is altered by hand says what to do; the others go on; once it is undone, all catches up by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
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


class Altered(NamedTuple):
    """What is done to a table by hand, how it is undone, and what must be said of it."""

    by_hand: str
    undone: str
    reason: str
    remedy: str


ALTERED = {
    "orders": Altered(
        "ALTER TABLE {table} RENAME COLUMN v TO w",
        "ALTER TABLE {table} RENAME COLUMN w TO v",
        'column "v"',
        "a column was dropped or renamed by hand: bring it back",
    ),
    "drafts": Altered(
        "REVOKE INSERT ON {table} FROM {role}", "GRANT INSERT ON {table} TO {role}", "permission denied", "grant the"
    ),
}
"""By table: a column is renamed, and a privilege revoked."""


def _write(database: Database[dict[str, Any]], start: int) -> None:
    """More than the high-water mark for each collection."""
    for name in ("carts", *ALTERED):
        for first in range(start, start + DOCUMENTS, 500):
            documents = [{"_id": number, "v": number, "text": "x" * 1000} for number in range(first, first + 500)]
            database[name].insert_many(documents)


def _status(mirror: Mirror) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    code, output = mirror.fleet.run(mirror.config, "status", "--json")
    assert code == 0, output
    [schema] = json.loads(output.splitlines()[-1])["schemas"]
    return schema, {table["name"]: table for table in schema["tables"]}


def test_tables_that_are_altered_by_hand(
    endpoints: Endpoints,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    fleet: Fleet,
) -> None:
    with limited_role(endpoints.pg_dsn) as role, psycopg.connect(endpoints.pg_dsn, autocommit=True) as by_us:

        def execute(statement: str, table: str = "") -> None:
            names = {"role": sql.Identifier(role), "table": sql.Identifier(database.name, table)}
            by_us.execute(sql.SQL(statement).format(**names))

        def rows(table: str) -> Callable[[], int]:
            return lambda: mirror.number(f'SELECT count(*) FROM "{database.name}"."{table}"')

        execute(f'GRANT CREATE ON DATABASE "{by_us.info.dbname}" TO {{role}}')
        limited = replace(endpoints, pg_dsn=endpoints.pg_dsn.replace("postgres@", f"{role}@"))
        settings = {"log_high_water_mark": MARK, "monitoring": {"log_format": "json"}}
        mirror = make_mirror(limited, database.name, **settings)
        for name in ("carts", *ALTERED):
            database[name].insert_one({"_id": 0, "v": 0, "text": ""})
        mirror.start().wait_caught_up()
        web = Readiness(fleet.start(mirror.config, "web", "--port", "0"))
        eventually(web.ready, what="ready")

        for name, altered in ALTERED.items():
            execute(altered.by_hand, name)
        _write(database, 1)
        eventually(lambda: rows("carts")() == DOCUMENTS + 1, what="the other table caught up, beyond the mark")
        assert [rows(name)() for name in ALTERED] == [1, 1]

        checks = {name: web.red(f"table {database.name}.{name}") for name in ALTERED}
        assert web.gauge(f'cartridge_warp_table_blocked{{schema="{database.name}",table="carts"}}') == 0
        schema, tables = _status(mirror)
        assert tables["carts"]["state"] == "streaming"
        for name, altered in ALTERED.items():
            assert altered.reason in checks[name]["reason"]
            assert checks[name]["remedy"].startswith(altered.remedy)
            assert web.gauge(f'cartridge_warp_table_blocked{{schema="{database.name}",table="{name}"}}') == 1
            assert tables[name]["state"] == "blocked"
            assert altered.reason in tables[name]["blocked"]["reason"]
            assert tables[name]["blocked"]["remedy"].startswith(altered.remedy)
            [kept] = [error for error in schema["errors"] if error["table"] == name]
            assert (kept["class"], kept["remedy"]) == ("Fatal", tables[name]["blocked"]["remedy"])
            assert kept["correlation_id"]
            assert kept["occurrences"] < 20, "not in a hot loop"

        by_us.execute("UPDATE cartridge_warp.sync_schemas SET advanced_at = advanced_at - interval '1 hour'")
        stall = web.red(f"schema {database.name}")
        assert "nothing can be applied to drafts, orders: " in stall["reason"]

        for name, altered in ALTERED.items():
            execute(altered.undone, name)
        mirror.wait_caught_up()
        eventually(web.ready, what="ready again")
        _, tables = _status(mirror)
        for name in ALTERED:
            assert (tables[name]["state"], tables[name]["blocked"]) == ("streaming", None)
        assert assert_identical(mirror.config) == {(database.name, name): DOCUMENTS + 1 for name in ("carts", *ALTERED)}
        assert all(process.running for process in mirror.processes)
