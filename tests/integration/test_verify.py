"""`verify` over real servers: every way in which a row can fail to be its document, and the command's verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from bson import Decimal128, Int64, ObjectId
from psycopg import sql
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support.fleet import Fleet
from tests.support.lookups import found as looked_up
from tests.support.refused import refusing_port
from warp.change import Key, TableRef, Write
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import ExitCode
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.sources.base import Chunk
from warp.sources.mongodb.source import MongoSource
from warp.verify import TableResult, verify_schema

TABLE = "things"
SECRET = "not-to-be-shown"
DOCUMENT = {
    "_id": 1,
    "n": 8,
    "word": "8",
    "at": datetime(2024, 2, 29, 12, tzinfo=UTC),
    "price": Decimal128("12.50"),
    "owner": ObjectId("0123456789abcdef01234567"),
    "raw": b"\x00\x01",
    "sure": True,
    "nothing": None,
    "nested": {"list": [{"a": 1}, "x"], "at": datetime(2024, 1, 1, tzinfo=UTC)},
}

Execute = Callable[[str], None]


@pytest.fixture
def mirror(
    source: MongoSource, destination: PostgresDestination, database: Database[dict[str, Any]]
) -> Callable[[], None]:
    """Gives every document of `things` the row that it should have."""

    def mirror() -> None:
        ref = TableRef(database.name, TABLE)
        whole = Chunk(lower=None, upper=None)
        keys = [key for documents in source.scan(*ref, whole) for key, _ in documents]
        write(source, destination, ref, keys)

    return mirror


def write(source: MongoSource, destination: PostgresDestination, ref: TableRef, keys: list[Key]) -> None:
    ts, records = looked_up(source.lookup(*ref, keys, source.now()))
    seen = Seen()
    seen.add_keys(keys)
    seen.add_records(records.values(), None)
    destination.evolve(ref, seen, Rules(soft_delete=True), cause="test")
    with destination.transaction() as transaction:
        shape = transaction.shape(ref)
        assert shape is not None
        transaction.upsert(ref, shape, [Write(key, ts, record) for key, record in records.items()])


@pytest.fixture
def execute(postgresql: psycopg.Connection, database: Database[dict[str, Any]]) -> Execute:
    """Runs a statement on the target, with `TABLE` for the table."""
    name = sql.Identifier(database.name, TABLE).as_string()

    def execute(statement: str) -> None:
        assert postgresql.execute(statement.replace("TABLE", name).encode()).rowcount > 0

    return execute


@pytest.fixture
def compare(
    source: MongoSource, destination: PostgresDestination, database: Database[dict[str, Any]]
) -> Callable[[], TableResult]:
    """The result of the only table, without any patience."""

    def compare() -> TableResult:
        [result] = verify_schema(source, destination, database.name, patience=0)
        return result

    return compare


def counts(result: TableResult) -> tuple[int, int, int, int, int]:
    return result.source_documents, result.target_rows, result.missing, result.extra, result.different


@pytest.mark.parametrize(
    ("fields", "statement"),
    [
        (("n",), "UPDATE TABLE SET n = 9"),
        (("n",), "UPDATE TABLE SET n = NULL"),
        (("n",), """UPDATE TABLE SET n = NULL, _extra = _extra || '{"n": "8"}'"""),
        (("n",), """UPDATE TABLE SET n = NULL, _extra = _extra || '{"n": null}'"""),
        (("n",), """UPDATE TABLE SET n = NULL, _extra = _extra || '{"n": {"$numberDecimal": "8.1"}}'"""),
        (("word",), "UPDATE TABLE SET word = '8 '"),
        (("word",), """UPDATE TABLE SET word = NULL, _extra = _extra || '{"word": {"$numberInt": "8"}}'"""),
        (("at",), "UPDATE TABLE SET at = at + interval '1 millisecond'"),
        (("price",), "UPDATE TABLE SET price = 12.51"),
        (("owner",), "UPDATE TABLE SET owner = '0123456789abcdef01234568'"),
        (("raw",), "UPDATE TABLE SET raw = raw || '\\x02'::bytea"),
        (("sure",), "UPDATE TABLE SET sure = false"),
        (("nothing",), "UPDATE TABLE SET _extra = _extra - 'nothing'"),
        (("something",), """UPDATE TABLE SET _extra = _extra || '{"something": null}'"""),
        (("nested",), """UPDATE TABLE SET nested = jsonb_set(nested, '{list,0,a}', '2')"""),
        (("nested",), """UPDATE TABLE SET nested = jsonb_set(nested, '{list,0,a}', '"1"')"""),
        (("nested",), """UPDATE TABLE SET nested = jsonb_set(nested, '{list,0,b}', 'null')"""),
        (("nested",), """UPDATE TABLE SET nested = jsonb_set(nested, '{list}', '["x", {"a": 1}]')"""),
        (("nested",), """UPDATE TABLE SET nested = jsonb_set(nested, '{at}', '"2024-01-01T00:00:00Z"')"""),
        (("nested",), """UPDATE TABLE SET nested = '{"$oid": "no ObjectId"}'"""),
        (("word", "sure"), "UPDATE TABLE SET sure = NULL, word = ''"),
    ],
)
def test_one_changed_field_is_a_difference_and_named(
    fields: tuple[str, ...],
    statement: str,
    database: Database[dict[str, Any]],
    mirror: Callable[[], None],
    execute: Execute,
    compare: Callable[[], TableResult],
) -> None:
    database[TABLE].insert_one(dict(DOCUMENT))
    mirror()
    assert counts(compare()) == (1, 1, 0, 0, 0)

    execute(
        statement.replace('"', '"').replace("'{\"", "'{\"").replace("}'", "}'") if "'{\"" in statement else statement
    )
    result = compare()

    assert counts(result) == (1, 1, 0, 0, 1)
    assert [(example.key, example.fields) for example in result.examples] == [("1", fields)]


def test_order_of_fields_and_width_of_numbers_are_no_difference(
    database: Database[dict[str, Any]], mirror: Callable[[], None], compare: Callable[[], TableResult]
) -> None:
    database[TABLE].insert_one({"_id": 1, "a": {"x": 1, "y": 2}, "n": 8})
    mirror()
    database[TABLE].replace_one({"_id": 1}, {"n": 8.0, "a": {"y": Int64(2), "x": 1}})

    assert counts(compare()) == (1, 1, 0, 0, 0)


def test_missing_and_extra_rows_and_rows_softly_deleted(
    database: Database[dict[str, Any]],
    mirror: Callable[[], None],
    execute: Execute,
    compare: Callable[[], TableResult],
) -> None:
    database[TABLE].insert_many([{"_id": number} for number in range(10)])
    mirror()
    execute("DELETE FROM TABLE WHERE _id IN (3, 4)")
    execute("UPDATE TABLE SET is_deleted = true WHERE _id IN (5, 6)")
    database[TABLE].delete_many({"_id": {"$in": [6, 7]}})

    result = compare()

    assert counts(result) == (8, 6, 3, 1, 0)
    assert {(example.key, example.problem.value) for example in result.examples} == {
        ("3", "missing"),
        ("4", "missing"),
        ("5", "missing"),
        ("7", "extra"),
    }


@pytest.mark.parametrize("key", ["no ObjectId", '{"$oid":"no ObjectId"}', '{"$numberLong":"1"}', "[", "null"])
def test_a_row_put_there_by_hand_is_extra_whatever_its_key(
    key: str,
    database: Database[dict[str, Any]],
    mirror: Callable[[], None],
    postgresql: psycopg.Connection,
    compare: Callable[[], TableResult],
) -> None:
    database[TABLE].insert_one({"a": 1})
    mirror()
    statement = sql.SQL("INSERT INTO {} (_id, _warp_ts) VALUES (%s, 1)").format(sql.Identifier(database.name, TABLE))
    postgresql.execute(statement, [key])

    assert counts(compare()) == (1, 2, 0, 1, 0)


def test_a_dropped_collection_leaves_extra_rows(
    database: Database[dict[str, Any]], mirror: Callable[[], None], compare: Callable[[], TableResult]
) -> None:
    database[TABLE].insert_many([{"_id": number} for number in range(3)])
    mirror()
    database[TABLE].drop()

    assert counts(compare()) == (0, 3, 0, 3, 0)


def test_a_change_in_flight_is_no_difference(
    source: MongoSource,
    destination: PostgresDestination,
    another: PostgresDestination,
    database: Database[dict[str, Any]],
    mirror: Callable[[], None],
) -> None:
    database[TABLE].insert_many([{"_id": number, "n": 1} for number in range(3)])
    mirror()
    database[TABLE].update_one({"_id": 1}, {"$set": {"n": 2, "a new field": "x"}})
    database[TABLE].insert_one({"_id": "a key of another kind"})
    waits: list[float] = []

    def arrive(seconds: float) -> None:
        waits.append(seconds)
        mirror()

    [result] = verify_schema(source, another, database.name, clock=lambda: 0.0, wait=arrive)

    assert counts(result) == (4, 4, 0, 0, 0)
    assert waits


def test_the_command_prints_exactly_one_json_object_and_ends_with_3_on_a_difference(
    database: Database[dict[str, Any]],
    mirror: Callable[[], None],
    execute: Execute,
    config_file: ConfigFile,
    fleet: Fleet,
) -> None:
    database[TABLE].insert_one(dict(DOCUMENT))
    mirror()
    counted = {"source_documents": 1, "target_rows": 1, "kept_rows": 0, "missing": 0, "extra": 0}
    table = {"schema": database.name, "table": TABLE, **counted}
    arguments = ("verify", "--json", "--patience", "0")

    code, output = fleet.run(config_file(), *arguments)
    assert code == ExitCode.DONE
    assert json.loads(output) == {"identical": True, "tables": [table | {"different": 0, "examples": []}]}

    execute("UPDATE TABLE SET word = ''")
    code, output = fleet.run(config_file(), *arguments)
    example = {"key": "1", "problem": "different", "fields": ["word"]}
    assert code == ExitCode.DIFFERENT
    assert json.loads(output) == {"identical": False, "tables": [table | {"different": 1, "examples": [example]}]}


def test_the_command_names_keys_and_never_shows_a_value(
    database: Database[dict[str, Any]],
    mirror: Callable[[], None],
    execute: Execute,
    config_file: ConfigFile,
    fleet: Fleet,
) -> None:
    database[TABLE].insert_many([{"_id": f"key-{number}", "word": SECRET} for number in range(30)])
    database[TABLE].insert_one({"_id": "fine \x1b[31m"})
    mirror()
    execute("UPDATE TABLE SET word = word || '!' WHERE word IS NOT NULL")
    database[TABLE].delete_one({"_id": "fine \x1b[31m"})

    code, output = fleet.run(config_file(monitoring={"log_level": "DEBUG"}), "verify", "--patience", "0")

    assert code == ExitCode.DIFFERENT
    assert output.count(": different key-") == 20
    assert f"{database.name}.{TABLE}: different key-0 in word\n" in output
    assert "31 differences in 30 documents" in output
    assert SECRET not in output
    assert "\x1b[31m" not in output


def test_a_schema_that_is_not_mirrored_from_a_stream_is_refused(
    database: Database[dict[str, Any]], config_file: ConfigFile, fleet: Fleet
) -> None:
    batch = {"name": database.name, "mode": "batch", "schedule": "* * * * *"}

    code, output = fleet.run(config_file(batch), "verify")

    assert code == ExitCode.USAGE
    assert "no schema with mode: stream" in output


def test_a_target_that_is_not_there_ends_with_4(config_file: ConfigFile, fleet: Fleet) -> None:
    with refusing_port() as port:
        dsn = f"postgresql://me:{SECRET}@127.0.0.1:{port}/x"
        code, output = fleet.run(config_file(destination={"connection_string": dsn}), "verify")

    assert code == ExitCode.UNREACHABLE
    assert output.startswith("error: PostgreSQL at ")
    assert len(output.splitlines()) == 1
    assert SECRET not in output
