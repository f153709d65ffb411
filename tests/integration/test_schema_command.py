"""`schema` over a real PostgreSQL: every version with its cause and place, and what was altered by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support.refused import refusing_port
from warp.change import Key, KeyKind, Record, TableRef
from warp.cli import main
from warp.destinations.base import OnDrop
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import ExitCode
from warp.evolution.infer import Seen
from warp.evolution.naming import column_name
from warp.evolution.rules import DEFAULT
from warp.sources.base import SourceTable, StreamPoint

LONG = "a field with a name that is longer than PostgreSQL's 63 bytes, by far"
COLUMN = column_name(LONG, ())

SchemaCommand = Callable[..., Result]


@pytest.fixture
def ref(database: Database[dict[str, Any]]) -> TableRef:
    return TableRef(database.name, "orders")


@pytest.fixture
def schema(config_file: ConfigFile) -> SchemaCommand:
    """Runs `cartridge-warp schema`."""
    config = str(config_file())

    def run(command: str, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["schema", command, "--config", config, *arguments], env={"COLUMNS": "250"})

    return run


def evolve(
    destination: PostgresDestination, ref: TableRef, record: Record, cause: str, position: str, *kinds: KeyKind
) -> None:
    seen = Seen()
    seen.add_keys(Key(kind, "1") for kind in kinds or (KeyKind.INT,))
    seen.add_records([record], None)
    destination.evolve(ref, seen, DEFAULT, cause=cause, position=position)


@pytest.fixture
def made(destination: PostgresDestination, ref: TableRef) -> TableRef:
    """A table of three versions."""
    evolve(destination, ref, {"n": 1, "odd\udcff": 1}, "first load, chunk 1", "")
    evolve(destination, ref, {LONG: "x"}, f"change stream, {ref}/0", "8201")
    evolve(destination, ref, {}, f"change stream, {ref}/0", "8202", KeyKind.STRING)
    return ref


def _versions(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == ExitCode.DONE, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["versions"]
    return found


def test_every_version_says_why_and_where_and_what(schema: SchemaCommand, made: TableRef) -> None:
    first, second, third = _versions(schema("history", "orders", "--json"))
    assert [each["version"] for each in (first, second, third)] == [1, 2, 3]
    assert (first["cause"], first["position"], first["before"]) == ("first load, chunk 1", "first load", None)
    odd = {"field": "odd\udcff", "column": column_name("odd\udcff", ()), "kind": "int"}
    assert first["changes"]["added"] == [{"field": "n", "column": "n", "kind": "int"}, odd]
    assert (second["position"], second["before"]) == ("8201", first["after"])
    assert second["changes"]["added"] == [{"field": LONG, "column": COLUMN, "kind": "string"}]
    assert (third["before"], third["changes"]["added"]) == (second["after"], [])
    assert third["changes"]["settings"] == {"mixed_keys": {"before": False, "after": True}}
    assert all(each["at"] for each in (first, second, third))


def test_history_for_people(schema: SchemaCommand, made: TableRef) -> None:
    lines = schema("history").stdout.splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        "  the table was made, with keys of kind int",
        "  + n int",
        f'  + {column_name("odd" + chr(0xDCFF), ())} int (field "odd\\udcff")',
        f"  + {COLUMN} string (field {LONG})",
        "  ~ mixed_keys: False became True",
    ]
    headings = [line for line in lines if line.startswith(str(made))]
    assert [heading.split("  ", 2)[2] for heading in headings] == [
        "first load, chunk 1  first load",
        f"change stream, {made}/0  position 8201",
        f"change stream, {made}/0  position 8202",
    ]


def test_a_table_that_was_dropped_and_made_again(
    schema: SchemaCommand, destination: PostgresDestination, made: TableRef
) -> None:
    start, orders = StreamPoint(position="A", ts=1), SourceTable(name="orders", documents=1, size_bytes=1)
    destination.metadata.begin_schema(made.schema, start, [orders], {"orders": 1})
    destination.drop(made, 5, OnDrop.DROP, soft=False, cause="drop")
    assert json.loads(schema("diff", "--json").stdout) == {"same": True, "tables": []}
    evolve(destination, made, {"m": 1}, "again", "8203")
    *_, third, dropped, again = _versions(schema("history", "--json"))
    assert (dropped["version"], dropped["after"], dropped["position"]) == (4, None, None)
    assert dropped["before"] == third["after"]
    assert {each["field"] for each in dropped["changes"]["removed"]} == {"n", "odd\udcff", LONG}
    assert (again["version"], again["before"], again["position"]) == (5, None, "8203")
    assert "the table was dropped" in schema("history", "orders").stdout


def test_two_versions_compared(schema: SchemaCommand, made: TableRef) -> None:
    result = schema("diff", "orders", "--from", "1", "--to", "2")
    assert (result.exit_code, result.stdout) == (
        ExitCode.DONE,
        f"{made}: from version 1 to 2\n  + {COLUMN} string (field {LONG})\n",
    )
    assert "the same" in schema("diff", "orders", "--from", "2", "--to", "2").stdout
    back = json.loads(schema("diff", "orders", "--from", "3", "--to", "1", "--json").stdout)
    assert (back["from"], back["to"], back["changes"]["added"]) == (3, 1, [])
    assert back["changes"]["removed"] == [{"field": LONG, "column": COLUMN, "kind": "string"}]
    to_last = json.loads(schema("diff", "orders", "--from", "1", "--json").stdout)
    assert to_last["to"] == 3


def test_a_table_is_as_it_was_made(schema: SchemaCommand, made: TableRef) -> None:
    result = schema("diff")
    assert (result.exit_code, result.stdout) == (ExitCode.DONE, f"{made} version 3: as it was made\n")


def test_what_was_altered_by_hand_is_shown(
    schema: SchemaCommand, made: TableRef, postgresql: psycopg.Connection
) -> None:
    table = f'"{made.schema}"."{made.table}"'
    postgresql.execute(f'ALTER TABLE {table} DROP COLUMN "{COLUMN}"'.encode())
    postgresql.execute(f"ALTER TABLE {table} ALTER COLUMN n TYPE numeric(9), ADD COLUMN mine varchar(8)".encode())
    result = schema("diff", "orders", "--json")
    assert result.exit_code == ExitCode.DIFFERENT
    [found] = json.loads(result.stdout)["tables"]
    assert (found["version"], found["table_missing"], found["missing"]) == (3, False, {COLUMN: "text"})
    assert found["altered"] == {"n": {"made": "bigint", "now": "numeric(9,0)"}}
    assert found["extra"] == {"mine": "character varying(8)"}
    assert schema("diff").stdout.splitlines() == [
        f"{made} version 3: differs",
        f"  missing  {COLUMN} text (field {LONG})",
        "  altered  n bigint is numeric(9,0) now",
        "  extra    mine character varying(8)",
    ]


def test_a_table_that_is_gone_is_shown(schema: SchemaCommand, made: TableRef, postgresql: psycopg.Connection) -> None:
    postgresql.execute(f'DROP TABLE "{made.schema}"."{made.table}"'.encode())
    result = schema("diff")
    assert (result.exit_code, result.stdout) == (ExitCode.DIFFERENT, f"{made} version 3: the table is missing\n")
    assert json.loads(schema("diff", "--json").stdout)["tables"][0]["table_missing"]


def test_without_tables_it_says_so(schema: SchemaCommand) -> None:
    assert schema("history").stdout == "no tables yet\n"
    assert schema("diff").stdout == "no tables\n"
    assert schema("history", "orders").exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    "arguments",
    [
        ("history", "--schema", "nowhere"),
        ("diff", "--from", "1"),
        ("diff", "orders", "--to", "1"),
        ("diff", "--from", "0"),
    ],
)
def test_wrong_usage(schema: SchemaCommand, made: TableRef, arguments: tuple[str, ...]) -> None:
    assert schema(*arguments).exit_code == ExitCode.USAGE


def test_a_version_that_does_not_exist(schema: SchemaCommand, made: TableRef) -> None:
    result = schema("diff", "orders", "--from", "1", "--to", "9")
    assert result.exit_code == ExitCode.FAILED
    assert "has no version 9" in result.stderr


def test_a_table_of_several_schemas_must_be_named_with_its_schema(
    config_file: ConfigFile, destination: PostgresDestination, made: TableRef
) -> None:
    evolve(destination, TableRef("elsewhere", "orders"), {"n": 1}, "test", "")
    config = str(config_file(made.schema, "elsewhere"))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["schema", *arguments, "orders", "--config", config])

    assert run("diff", "--from", "1").exit_code == ExitCode.USAGE
    assert run("diff", "--from", "1", "--schema", "elsewhere").exit_code == ExitCode.DONE
    assert len(_versions(run("history", "--json"))) == 4


def test_without_postgresql_it_is_unreachable(config_file: ConfigFile) -> None:
    with refusing_port() as port:
        nowhere = {"connection_string": f"postgresql://127.0.0.1:{port}/warehouse"}
        config = str(config_file(destination=nowhere))
        assert CliRunner().invoke(main, ["schema", "history", "--config", config]).exit_code == ExitCode.UNREACHABLE
