"""The layout `history` over real servers: through the stream, first loads, dead letters, and all of it twice."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql
from pymongo.collection import Collection
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.integration.parking import REFUSED
from tests.support.fleet import Fleet
from tests.support.pipeline import Pipeline
from tests.support.wait import eventually
from warp.change import Partition, TableRef
from warp.cli.main import main
from warp.config import TableSettings
from warp.errors import ExitCode
from warp.evolution.rules import Layout
from warp.history import ENDS
from warp.metadata.base import LetterFilter
from warp.verify import verify_schema
from workers.apply import Outcome as Step
from workers.replay import Outcome, Replayer
from workers.report import Report

TABLE = "orders"
SETTINGS = TableSettings(batch_size=1000, deletion_strategy="hard", partitions=1, layout=Layout.HISTORY)
Documents = Database[dict[str, Any]]


@pytest.fixture
def keeping(pipeline: Pipeline) -> Pipeline:
    """A pipeline whose tables keep their history."""
    pipeline.settings = SETTINGS
    return pipeline


def in_order(
    postgresql: psycopg.Connection, schema: str, columns: str = "_id, operation, doc", table: str = TABLE
) -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM {{}} ORDER BY _id, _warp_ts, position"
    return postgresql.execute(sql.SQL(query).format(sql.Identifier(schema, table))).fetchall()


def story(postgresql: psycopg.Connection, schema: str, identity: object) -> list[tuple[str, Any]]:
    return [(operation, doc) for key, operation, doc in in_order(postgresql, schema) if key == identity]


def assert_ends_in(rows: Iterable[tuple[Any, ...]], documents: Iterable[Mapping[str, Any]]) -> None:
    """To go through the rows in order ends in the documents."""
    state = {}
    for key, operation, doc in rows:
        state[key] = None if operation in ENDS else doc
    found = {key: doc for key, doc in state.items() if doc is not None}
    assert found == {each["_id"]: {name: each[name] for name in each if name != "_id"} for each in documents}


def assert_identical(pipeline: Pipeline) -> None:
    connections = pipeline.connections
    for result in verify_schema(
        connections.source, connections.destination, pipeline.schema, patience=0, fields=lambda _: SETTINGS.fields
    ):
        assert result.identical, result


def test_every_change_is_a_row(keeping: Pipeline, database: Documents, postgresql: psycopg.Connection) -> None:
    orders = database[TABLE]
    keeping.tailer.tick()
    orders.insert_one({"_id": 1, "v": 1})
    orders.update_one({"_id": 1}, {"$set": {"v": 2}})
    orders.update_one({"_id": 1}, {"$set": {"w": 2}})
    orders.replace_one({"_id": 1}, {"n": -0.0})
    orders.delete_one({"_id": 1})
    orders.insert_one({"_id": 1, "v": "again"})
    with database.client.start_session() as session, session.start_transaction():
        orders.insert_one({"_id": 2, "v": 1}, session=session)
        orders.update_one({"_id": 2}, {"$inc": {"v": 1}}, session=session)
        orders.replace_one({"_id": 2}, {"v": 3}, session=session)
    keeping.follow(TABLE, 9)
    inexact = {"doc": {"n": {"$numberDouble": "-0.0"}}}
    times = "doc_ts = _warp_ts, extract(epoch FROM committed_at)::bigint = _warp_ts >> 31, length(position) > 20"
    assert in_order(postgresql, database.name, f"_id, operation, doc, _extra, {times}") == [
        (1, "insert", {"v": 1}, None, True, True, True),
        (1, "update", {"v": "again"}, None, False, True, True),
        (1, "update", {"v": "again"}, None, False, True, True),
        (1, "replace", None, inexact, True, True, True),
        (1, "delete", None, None, None, True, True),
        (1, "insert", {"v": "again"}, None, True, True, True),
        (2, "insert", {"v": 1}, None, True, True, True),
        (2, "update", {"v": 3}, None, True, True, True),
        (2, "replace", {"v": 3}, None, True, True, True),
    ]
    assert_identical(keeping)


def _change(orders: Collection[dict[str, Any]], draw: random.Random) -> int:
    """One write to one of a few documents; how many changes that was."""
    number = draw.randrange(5)
    match draw.randrange(4):
        case 0:
            return orders.delete_one({"_id": number}).deleted_count
        case 1:
            update = orders.update_one({"_id": number}, {"$set": {"w": draw.random()}})
            return update.modified_count
        case _:
            replaced = orders.replace_one({"_id": number}, {"v": draw.random()}, upsert=True)
            return replaced.modified_count + int(replaced.upserted_id is not None)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_sent_and_applied_again_changes_nothing(
    keeping: Pipeline, database: Documents, postgresql: psycopg.Connection, seed: int
) -> None:
    orders, draw = database[TABLE], random.Random(seed)
    keeping.tailer.tick()
    [start] = postgresql.execute("SELECT checkpoint, checkpoint_ts FROM cartridge_warp.sync_schemas").fetchall()
    changes = sum(_change(orders, draw) for _ in range(80))
    keeping.follow(TABLE, changes)
    everything = "_id, _warp_ts, position, operation, doc, doc_ts"
    before = in_order(postgresql, database.name, everything)
    assert len(before) == changes
    assert_ends_in(in_order(postgresql, database.name), orders.find())

    postgresql.execute("UPDATE cartridge_warp.sync_markers SET position = ''")
    postgresql.execute("UPDATE cartridge_warp.sync_schemas SET checkpoint = %s, checkpoint_ts = %s", start)
    keeping.restart()
    keeping.follow(TABLE, changes)
    assert in_order(postgresql, database.name, everything) == before
    assert_identical(keeping)


def test_a_table_that_is_read_again_ends_what_was_deleted_unseen(
    keeping: Pipeline, database: Documents, postgresql: psycopg.Connection
) -> None:
    orders = database[TABLE]
    orders.insert_many([{"_id": number, "v": number} for number in range(4)])
    keeping.load(TABLE)
    orders.delete_one({"_id": 3})
    keeping.follow(TABLE, 1)
    assert story(postgresql, database.name, 0) == [("load", {"v": 0})]
    assert_identical(keeping)

    keeping.restart(TABLE)
    orders.delete_one({"_id": 0})
    orders.update_one({"_id": 1}, {"$set": {"v": "unseen"}})
    orders.insert_one({"_id": 4, "v": "unseen"})
    keeping.restart()
    keeping.load(TABLE)
    metadata = keeping.connections.destination.metadata
    metadata.settle(database.name, {TABLE: keeping.connections.source.now() + 1})
    while metadata.unswept(database.name):
        keeping.snapshots.tick()
    assert story(postgresql, database.name, 0) == [("load", {"v": 0}), ("gone", None)]
    assert story(postgresql, database.name, 1) == [("load", {"v": 1}), ("load", {"v": "unseen"})]
    assert story(postgresql, database.name, 3) == [("load", {"v": 3}), ("delete", None)]
    assert story(postgresql, database.name, 4) == [("load", {"v": "unseen"})]
    assert_identical(keeping)
    assert_ends_in(in_order(postgresql, database.name), orders.find())


def test_a_dropped_collection(keeping: Pipeline, database: Documents, postgresql: psycopg.Connection) -> None:
    orders = database[TABLE]
    keeping.tailer.tick()
    orders.insert_many([{"_id": 1, "v": 1}, {"_id": 2, "v": 2}])
    keeping.follow(TABLE, 2)
    orders.drop()
    orders.insert_one({"_id": 2, "v": "new"})
    keeping.follow(TABLE, 1)
    assert in_order(postgresql, database.name) == [
        (1, "insert", {"v": 1}),
        (1, "drop", None),
        (2, "insert", {"v": 2}),
        (2, "drop", None),
        (2, "insert", {"v": "new"}),
    ]
    assert_identical(keeping)


def test_keys_of_every_length_and_kind_in_a_table_of_any_name(
    keeping: Pipeline, database: Documents, postgresql: psycopg.Connection
) -> None:
    """A position holds its key: twice its length of it."""
    name, long = '50%s "of" %', random.Random(1).randbytes(1_300).hex()
    table = database[name]
    keeping.tailer.tick()
    table.insert_one({"_id": 8, "v": 1})
    keeping.follow(name, 1)
    table.insert_many([{"_id": "8", "v": 2}, {"_id": long, "v": 3}])
    table.replace_one({"_id": 8.0}, {"v": 4})
    keeping.follow(name, 3)
    expected = {"8": [{"v": 1}, {"v": 4}], '"8"': [{"v": 2}], f'"{long}"': [{"v": 3}]}
    assert _docs(in_order(postgresql, database.name, table=name)) == expected
    [length] = [
        length for key, length in in_order(postgresql, database.name, "_id, length(position)", name) if long in key
    ]
    assert length > 2_704
    assert not keeping.connections.destination.metadata.letters(LetterFilter(), None)
    assert_identical(keeping)
    table.drop()

    def dropped() -> bool:
        keeping.tailer.tick()
        return len(in_order(postgresql, database.name, table=name)) == 7

    eventually(dropped)
    assert_identical(keeping)


def _docs(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    docs: dict[str, list[Any]] = {}
    for key, _, doc in rows:
        docs.setdefault(key, []).append(doc)
    return docs


def test_every_change_that_is_refused_is_replayed(
    keeping: Pipeline, database: Documents, postgresql: psycopg.Connection
) -> None:
    orders, table = database[TABLE], sql.Identifier(database.name, TABLE)
    keeping.tailer.tick()
    orders.insert_one({"_id": 1, "v": 1})
    keeping.follow(TABLE, 1)
    refusing = "ALTER TABLE {} ADD CONSTRAINT forbidden CHECK ((doc ->> 'v')::int <> {})"
    postgresql.execute(sql.SQL(refusing).format(table, sql.Literal(REFUSED)))
    orders.replace_one({"_id": 1}, {"v": REFUSED})
    orders.replace_one({"_id": 1}, {"v": REFUSED, "w": 2})
    orders.replace_one({"_id": 1}, {"v": 3})
    orders.insert_one({"_id": 2, "v": 4})
    keeping.follow(TABLE, 4)
    assert story(postgresql, database.name, 1) == [("insert", {"v": 1}), ("replace", {"v": 3})]
    assert_identical(keeping)

    postgresql.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT forbidden").format(table))
    connections = keeping.connections
    replayer = Replayer(
        connections.source,
        connections.destination,
        settings=lambda _: SETTINGS,
        mirrors=lambda _: True,
        report=Report(),
        wait=lambda _: None,
    )
    letters = connections.destination.metadata.letters(LetterFilter(schema=database.name), None)
    assert [replayer.replay(letter.number).outcome for letter in letters] == [Outcome.APPLIED] * 2
    assert [doc for _, doc in story(postgresql, database.name, 1)] == [
        {"v": 1},
        {"v": REFUSED},
        {"v": REFUSED, "w": 2},
        {"v": 3},
    ]
    assert_identical(keeping)


def test_two_partitions(keeping: Pipeline, database: Documents, postgresql: psycopg.Connection) -> None:
    orders, draw = database[TABLE], random.Random(3)
    keeping.settings = replace(SETTINGS, partitions=2)
    keeping.tailer.tick()
    changes = sum(_change(orders, draw) for _ in range(60))
    logs = keeping.connections.logs

    def sent() -> int:
        keeping.tailer.tick()
        return sum(log.changes for log in logs.backlog(database.name).values())

    eventually(lambda: sent() == changes)
    parts = [Partition(database.name, TABLE, number, 2) for number in range(2)]
    assert [keeping.applier.step(part) for part in parts] == [Step.APPLIED, Step.APPLIED]
    assert len(in_order(postgresql, database.name)) == changes
    assert_ends_in(in_order(postgresql, database.name), orders.find())
    assert_identical(keeping)


def test_processes_and_commands(
    database: Documents, config_file: ConfigFile, postgresql: psycopg.Connection, fleet: Fleet
) -> None:
    config = config_file(layout="history", deletion_strategy="soft")

    def command(*words: str) -> str:
        result = CliRunner().invoke(main, [*words, "--config", str(config)])
        assert result.exit_code == ExitCode.DONE, result.output
        return result.output

    database[TABLE].insert_many([{"_id": number, "v": 0} for number in range(5)])
    command("run", "--dry-run")
    assert "position_hash" in command("plan")
    ended, output = fleet.run(config, "run", "--until-caught-up", "--workers", "1", deadline=90.0)
    assert ended == ExitCode.DONE, output
    assert in_order(postgresql, database.name) == [(number, "load", {"v": 0}) for number in range(5)]
    [result] = json.loads(command("verify", "--json"))["tables"]
    assert (result["target_rows"], result["missing"], result["different"]) == (5, 0, 0)
    assert json.loads(command("schema", "diff", "--json"))["same"]
    [version] = json.loads(command("schema", "history", TABLE, "--json"))["versions"]
    assert (version["after"]["layout"], version["after"]["soft_delete"]) == ("history", False)
    command("status")
    command("run", "--dry-run")
    command("plan")
    assert keys_by_index(postgresql, TableRef(database.name, TABLE))


def keys_by_index(postgresql: psycopg.Connection, ref: TableRef) -> bool:
    """Whether the last row of a key is found by the primary key."""
    query = "SELECT * FROM {} WHERE _id = 1 ORDER BY _warp_ts DESC, position DESC LIMIT 1"
    with postgresql.transaction():
        postgresql.execute("SET LOCAL enable_seqscan = off")
        plan = postgresql.execute(sql.SQL(f"EXPLAIN {query}").format(sql.Identifier(*ref))).fetchall()
    return any(f"using {ref.table}_pkey" in line for (line,) in plan)
