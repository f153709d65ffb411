"""Collections that are dropped, renamed over, written by `$out` and made anew, beside a writer that keeps changing."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
import pytest
from bson import ObjectId
from psycopg import sql
from pymongo.database import Database

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.compare import assert_identical, verify
from tests.support.endpoints import Endpoints
from tests.support.mirror import Mirror
from tests.support.wait import eventually
from warp.destinations.base import OnDrop

DOCUMENTS = 3_000
REPLACED = "source table replaced: to be read again"


def _dropped(on_drop: OnDrop) -> str:
    return f"source table dropped: {on_drop}"


def _audit(mirror: Mirror, *tables: str) -> list[tuple[Any, ...]]:
    """What the source did to those tables, in order, as table and action."""
    return mirror.query(
        "SELECT table_name, action FROM cartridge_warp.audit_log "
        "WHERE table_name = ANY(%s) AND action <> 'rows swept' ORDER BY id",
        [list(tables)],
    )


def _noted(mirror: Mirror, times: int, *tables: str) -> bool:
    return len(_audit(mirror, *tables)) == times


def _fill(database: Database[dict[str, Any]], name: str, **fields: Any) -> None:
    database[name].insert_many([{"_id": number, **fields} for number in range(DOCUMENTS)])


def _kept(mirror: Mirror, table: str) -> int:
    _, report = verify(mirror.config)
    [kept] = [found["kept_rows"] for found in report["tables"] if found["table"] == table]
    return int(kept)


@pytest.mark.parametrize("on_drop", OnDrop)
def test_a_collection_is_dropped_and_comes_again_with_other_types(
    on_drop: OnDrop,
    endpoints: Endpoints,
    schema: str,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": on_drop.value})
    writer = make_writer(endpoints, schema, seed=31)
    _fill(database, "side", v=1, gone="soon")
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    database["side"].update_many({}, {"$inc": {"v": 1}})
    database["side"].insert_one({"_id": -1, "v": "the last one"})
    database.drop_collection("side")
    mirror.wait_applied(100)
    eventually(lambda: _audit(mirror, "side"), what="the drop noted")
    assert _audit(mirror, "side") == [("side", _dropped(on_drop))]
    keys = [ObjectId() for _ in range(100)]
    database["side"].insert_many([{"_id": key, "v": [{"other": "type"}], "new": 1.5} for key in keys])
    database["side"].insert_one({"_id": 7, "v": "text"})
    assert mirror.end_identical(writer)[schema, "side"] == 101
    types = dict(mirror.query(_COLUMNS, [schema]))
    assert types["v"] == ("jsonb" if on_drop is OnDrop.DROP else "bigint")
    assert ("gone" in types) == (on_drop is not OnDrop.DROP)
    assert _kept(mirror, "side") == (DOCUMENTS if on_drop is OnDrop.KEEP else 0)


_COLUMNS = (
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = 'side'"
)


def test_kept_rows_are_as_last_applied_and_the_updates_that_they_lack_are_noted(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": "keep"})
    side = database["side"]
    side.insert_many([{"_id": number, "v": "old"} for number in range(5)])
    mirror.start().wait_caught_up()
    assert mirror.workers[0].terminate() == 0
    side.update_one({"_id": 1}, {"$set": {"v": "lost"}})
    side.replace_one({"_id": 2}, {"v": "replaced"})
    side.delete_one({"_id": 3})
    side.update_one({"_id": 4}, {"$set": {"v": "deleted then"}})
    side.delete_one({"_id": 4})
    side.insert_many([{"_id": number, "v": "new"} for number in (5, 6)])
    side.update_one({"_id": 6}, {"$set": {"v": "lost"}})
    side.drop()
    eventually(lambda: _audit(mirror, "side"), what="the drop noted")
    mirror.workers[0].restart()
    mirror.wait_caught_up()
    rows = mirror.query(f'SELECT _id, v FROM "{schema}".side ORDER BY 1')
    assert rows == [(0, "old"), (1, "old"), (2, "replaced"), (5, "new")]
    code, report = verify(mirror.config)
    [found] = report["tables"]
    assert (code, found["source_documents"], found["target_rows"], found["kept_rows"]) == (0, 0, 0, 4)
    noted = mirror.query("SELECT table_name, error_class, occurrences FROM cartridge_warp.error_log")
    assert noted == [("side", "UpdatesLost", 2)]


def test_rows_of_a_dropped_collection_are_marked_where_deletes_are_soft(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": "truncate", "deletion_strategy": "soft"})
    _fill(database, "side", v=1)
    mirror.start().wait_caught_up()
    database.drop_collection("side")
    database["side"].insert_one({"_id": 5, "v": 2})
    mirror.wait_caught_up()
    assert assert_identical(mirror.config) == {(schema, "side"): 1}
    assert mirror.query(f'SELECT is_deleted, count(*) FROM "{schema}".side GROUP BY 1 ORDER BY 1') == [
        (False, 1),
        (True, DOCUMENTS - 1),
    ]


def test_a_collection_is_renamed_over_another_beside_their_writers(
    endpoints: Endpoints,
    schema: str,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": "truncate"}, partitions=2)
    writer = make_writer(endpoints, schema, seed=32, collections=["orders", "products"])
    writer.preload(500)
    _fill(database, "drafts", v="draft")
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    # The writer goes on in both: its updates and deletes of what is gone find nothing, its inserts make new documents.
    database["drafts"].rename("orders", dropTarget=True)
    mirror.wait_applied(500)
    database["drafts"].insert_one({"_id": "a draft again"})
    tables = mirror.end_identical(writer)
    assert tables[schema, "orders"] >= DOCUMENTS
    assert tables[schema, "drafts"] == 1
    assert _audit(mirror, "orders", "drafts") == [("drafts", _dropped(OnDrop.TRUNCATE)), ("orders", REPLACED)]
    assert mirror.number("SELECT count(*) FROM cartridge_warp.audit_log WHERE action = 'rows swept'")


def test_out_replaces_a_collection_again_and_again(
    endpoints: Endpoints,
    schema: str,
    database: Database[dict[str, Any]],
    make_mirror: MakeMirror,
    make_writer: MakeWriter,
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=33)
    writer.preload(200)
    _fill(database, "lines", v=1)
    writer.start()
    mirror.start(workers=2).wait_caught_up()
    for runs in (1, 2):
        stages: list[dict[str, Any]] = [{"$match": {"_id": {"$mod": [runs + 1, 0]}}}, {"$set": {"run": runs}}]
        database["lines"].aggregate([*stages, {"$out": "report"}])
        database["report"].insert_one({"_id": f"by hand {runs}"})
        eventually(partial(_noted, mirror, runs, "report"), what="the table planned again")
    tables = mirror.end_identical(writer)
    assert tables[schema, "report"] == DOCUMENTS // 3 + 1
    assert _audit(mirror, "report") == [("report", REPLACED)] * 2
    assert not [name for _, name in tables if name.startswith("tmp")]
    assert _kept(mirror, "report") == 0


def test_renames_in_a_row_while_the_fleet_is_away(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": "drop"})
    _fill(database, "a", v="a")
    _fill(database, "b", v="b")
    mirror.start().wait_caught_up()
    mirror.tailer.terminate()
    for before, after in (("a", "swap"), ("b", "a"), ("swap", "b"), ("b", "c")):
        database[before].rename(after)
    database["brief"].insert_one({"_id": 1})
    database.drop_collection("brief")
    database["a"].delete_one({"_id": 0})
    mirror.tailer.restart()
    mirror.wait_caught_up()
    tables = assert_identical(mirror.config)
    assert {name: number for (_, name), number in tables.items()} == {"a": DOCUMENTS - 1, "c": DOCUMENTS}
    assert _audit(mirror, "brief") == [("brief", _dropped(OnDrop.DROP))]


def test_the_database_is_dropped_and_made_again(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": "truncate"})
    for name in ("orders", "carts"):
        _fill(database, name, v=1)
    mirror.start().wait_caught_up()
    for times in (1, 2):
        database.client.drop_database(schema)
        eventually(partial(_noted, mirror, 2 * times, "orders", "carts"), what="both drops noted")
        _fill(database, "orders", v=times)
        _fill(database, "carts", v="text")
        mirror.wait_caught_up()
        assert assert_identical(mirror.config) == {(schema, "orders"): DOCUMENTS, (schema, "carts"): DOCUMENTS}
    assert mirror.tailer.running


def test_a_view_that_rests_on_a_table_holds_nobody_up(
    endpoints: Endpoints, schema: str, database: Database[dict[str, Any]], make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(endpoints, {"name": schema, "on_drop": "drop"})
    _fill(database, "side", v=1)
    mirror.start().wait_caught_up()
    with psycopg.connect(endpoints.pg_dsn) as connection:
        connection.execute(sql.SQL("CREATE VIEW report AS SELECT v FROM {}").format(sql.Identifier(schema, "side")))
    database.drop_collection("side")
    database["other"].insert_one({"_id": 1})
    mirror.wait_caught_up()
    assert assert_identical(mirror.config) == {(schema, "other"): 1, (schema, "side"): 0}
