"""`plan` over real servers: what it foretells is what a first load makes, and it writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from click.testing import CliRunner
from psycopg import sql
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support.pipeline import Pipeline
from tests.support.postgresql import drop_database
from tests.support.refused import refusing_port
from warp.cli.main import main
from warp.cli.plan_text import WIDTH
from warp.config import load_config
from warp.embedded import EmbeddedServers
from warp.errors import ExitCode, Fatal
from warp.sources.base import Inspected
from warp.sources.mongodb.source import MongoSource

Document = dict[str, Any]
ODD: list[Document] = [
    {"_id": 1, "n": 1, "ctid": 1, "a.b": "x", "": True, "Name": "A", "name": "a", "x" * 80: 1, "mixed": 7},
    {"_id": 2, "n": None, "mixed": "seven", "when": datetime(2020, 1, 1), "list": [1], "object": {"a": 1}},
    {"_id": 3, "mixed": 7.5, "re": Regex("a"), "code": Code("f()"), "ts": Timestamp(1, 1), "most": MaxKey()},
    {"_id": 4, "money": Decimal128("1.50"), "nan": Decimal128("NaN"), "bytes": b"x", "other": Binary(b"x", 5)},
    {"_id": 5, "nul": "a\0b", "odd": {"$oid": "x"}, "ref": ObjectId(), 'x"; DROP TABLE x; --': "x"},
    {"_id": 6, "wide": Int64(2**60), "_id ": "x", "_warp_ts": "x", "is_deleted": "x"},
    {"_id": "six", "mixed": None},
]
CATALOG = (
    "SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), collname, indisprimary "
    "FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
    "LEFT JOIN pg_collation ON pg_collation.oid = attcollation "
    "LEFT JOIN pg_index ON indrelid = attrelid AND indkey[0] = attnum "
    "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
)


def plan(config: Path, *words: str, code: int = ExitCode.DONE) -> str:
    result = CliRunner().invoke(main, ["plan", "--config", str(config), *words])
    assert result.exit_code == code, result.output
    return result.stdout if code == ExitCode.DONE else result.output


def planned(config: Path, *words: str, code: int = ExitCode.DONE) -> Document:
    """The only table of the only schema."""
    [schema] = json.loads(plan(config, "--json", *words, code=code).splitlines()[0])["schemas"]
    [table] = schema["tables"]
    return dict(table)


def types_of(table: Document) -> dict[str, dict[str, int]]:
    return {each["field"]: each["types"] for each in table["fields"]}


def catalog(dsn: str, table: str) -> set[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return set(connection.execute(CATALOG, [table]).fetchall())


def everything(dsn: str) -> dict[str, list[str]]:
    """All tables of a database that are not PostgreSQL's own, with all their rows."""
    with psycopg.connect(dsn) as connection:
        names = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        rows = {name: sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.Identifier(*name)) for name in names}
        return {".".join(name): [text for (text,) in connection.execute(query)] for name, query in rows.items()}


@pytest.fixture
def empty_dsn(servers: EmbeddedServers) -> Iterator[str]:
    dsn = servers.postgresql.create_database("planned")
    yield dsn
    drop_database(servers, dsn)


@pytest.fixture
def odd(database: Database[Document]) -> Database[Document]:
    database.items.insert_many(ODD)
    return database


@pytest.mark.parametrize(
    "settings",
    [
        {"deletion_strategy": "hard"},
        {"deletion_strategy": "soft"},
        {"evolution": {"conflict": "jsonb"}},
        {"flatten_depth": 2},
        {"layout": "document"},
        {"layout": "history"},
    ],
    ids=str,
)
def test_the_ddl_makes_the_very_table_that_a_load_makes(
    settings: Document,
    odd: Database[Document],
    config_file: ConfigFile,
    pipeline: Pipeline,
    pg_dsn: str,
    empty_dsn: str,
) -> None:
    table = planned(config_file(**settings))
    assert (table["action"], table["exists"], table["read"], table["whole"]) == ("copy", False, len(ODD), True)
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for statement in table["ddl"]:
            connection.execute(statement.encode())
    pipeline.settings = load_config(config_file(**settings), {}).table(odd.name, "items")
    pipeline.load("items")
    made = catalog(pg_dsn, table["target"])
    assert catalog(empty_dsn, table["target"]) == made
    assert {(column["name"], column["type"]) for column in table["columns"]} == {row[:2] for row in made}
    [status] = pipeline.connections.destination.metadata.kept_values(odd.name).values()
    kept = {(each["field"], each["reason"]): each["values"] for each in table["kept"]}
    assert kept == {(each.field, each.reason): each.values for each in status}


def test_a_table_of_another_layout_is_planned_as_it_would_be_made_anew(
    odd: Database[Document], config_file: ConfigFile, pipeline: Pipeline
) -> None:
    pipeline.load("items")
    other = {"layout": "document", "evolution": {"conflict": "jsonb", "rewrite": "always"}}
    table = planned(config_file(**other), code=ExitCode.FAILED)
    assert (table["blocked"], table["ours"]) == (True, True)
    assert [column["name"] for column in table["columns"]] == ["_id", "_warp_ts", "_extra", "doc"]
    assert any(statement.startswith("CREATE TABLE") for statement in table["ddl"])
    table = planned(config_file(flatten_depth=1, **{"evolution": other["evolution"]}), code=ExitCode.FAILED)
    assert table["blocked"]
    assert table["read"] == len(ODD)


def test_it_tells_types_names_conflicts_and_what_is_kept(odd: Database[Document], config_file: ConfigFile) -> None:
    table = planned(config_file())
    types = types_of(table)
    assert types["mixed"] == {"int": 1, "string": 1, "double": 1, "null": 1}
    assert types["n"] == {"int": 1, "null": 1}
    found = ("re", "code", "ts", "most", "nan", "other", "odd", "list", "object", "when", "ref", "bytes", "money")
    assert [next(iter(types[name])) for name in found] == [
        "regularExpression",
        "code",
        "timestamp",
        "maxKey",
        "decimal",
        "binary",
        "object",
        "array",
        "object",
        "date",
        "objectid",
        "binary",
        "decimal",
    ]
    fields = {each["field"]: each for each in table["fields"]}
    assert (fields["n"]["present"], fields["n"]["missing"], fields["re"]["column"]) == (2, len(ODD) - 2, None)
    assert table["keys"] == {"int": 6, "string": 1}
    renamed = {each["name"]: each["becomes"] for each in table["renamed"]}
    assert set(renamed) == {"ctid", "", "x" * 80, "_warp_ts", "is_deleted"}
    assert renamed["ctid"] == fields["ctid"]["column"] == "ctid_a6768917"
    kept = {(each["field"], each["reason"]): each["values"] for each in table["kept"]}
    assert (
        kept["n", "null"]
        == kept["ts", "bson_type"]
        == kept["nan", "decimal_special"]
        == kept["nul", "does_not_fit"]
        == 1
    )
    conflicts = {each["field"]: each for each in table["conflicts"]}
    assert set(conflicts) == {"mixed"}
    assert conflicts["mixed"]["types"] == {"int": 1, "string": 1, "double": 1}


def test_the_kinds_of_keys_decide_the_column(database: Database[Document], config_file: ConfigFile) -> None:
    database.items.insert_many([{"_id": Binary(bytes([number] * 16), 4)} for number in range(2)])
    table = planned(config_file())
    assert (table["keys"], table["columns"][0]["type"]) == ({"uuid": 2}, "uuid")
    assert '("_id" uuid PRIMARY KEY, ' in table["ddl"][-1]
    database.items.insert_one({"_id": 1})
    table = planned(config_file())
    assert (table["keys"], table["columns"][0]["type"]) == ({"uuid": 2, "int": 1}, "text")


def test_the_rules_of_evolution_are_applied(database: Database[Document], config_file: ConfigFile) -> None:
    database.items.insert_many([{"_id": 1, "n": 1, "s": 1}, {"_id": 2, "n": 1.5, "s": "x"}, {"_id": 3, "n": 1, "s": 2}])

    def conflicts(**evolution: str) -> dict[str, Document]:
        return {each["field"]: each for each in planned(config_file(evolution=evolution))["conflicts"]}

    never = conflicts(rewrite="never")
    assert (never["n"]["became"], never["n"]["kept"], never["s"]["kept"]) == (["int"], 1, 1)
    assert never["n"]["settled"] == {"double": "rewrite: never"}
    widened = conflicts(conflict="text")
    assert (widened["n"]["became"], widened["n"]["kept"]) == (["int", "double"], 0)
    assert (widened["s"]["became"][0], widened["s"]["became"][-1]) == ("int", "text")
    letters = conflicts(conflict="dead_letter")
    assert (letters["s"]["kept"], letters["s"]["dead_letters"]) == (0, 1)


def test_large_documents_are_told_with_their_keys(database: Database[Document], config_file: ConfigFile) -> None:
    database.items.insert_many([{"_id": str(number), "v": "1"} for number in range(20)])
    database.items.insert_one({"_id": "large", "v": "x" * 2_000_000})
    database.items.insert_one({"_id": "huge", "v": "x" * 9_000_000})
    database.items.insert_one({"_id": "wide", **{f"f{number}": number for number in range(60)}})
    database.items.insert_one({"_id": "k" * 3000})
    table = planned(config_file(max_columns=50))
    large = {each.pop("danger"): each for each in table["large"]}
    assert {danger: each["keys"] for danger, each in large.items()} == {
        "over 1 MB": ["large"],
        "over 8 MB": ["huge"],
        "more fields than max_columns": ["wide"],
        "key too long for an index": ["k" * 3000],
    }
    assert large["more fields than max_columns"]["most"] == 60
    assert large["key too long for an index"]["most"] == 3000
    assert large["over 8 MB"]["most"] == table["largest_bytes"] > 9_000_000
    assert {each["reason"] for each in table["kept"]} == {"no_column"}


def test_a_sample_is_said_to_be_one(odd: Database[Document], config_file: ConfigFile) -> None:
    odd.items.insert_many([{"_id": 100 + number, "n": number} for number in range(500)])
    table = planned(config_file(), "--sample", "40")
    assert (table["whole"], table["documents"]) == (False, len(ODD) + 500)
    assert 30 <= table["read"] <= 40
    assert sum(types_of(table)["n"].values()) <= 40
    output = plan(config_file(), "--sample", "40")
    assert "About 40 documents of each table, chosen at random" in output
    assert "(of about 507)" in output


def test_hidden_fields_are_hidden_and_flattened_ones_dotted(
    database: Database[Document], config_file: ConfigFile
) -> None:
    database.items.insert_one({"_id": 1, "email": "ann@example.org", "phone": 5, "address": {"city": "Ulm", "zip": 1}})
    config = config_file(
        exclude_fields=["phone"], mask={"email": "hash"}, mask_salt="a salt of these tests", flatten_depth=1
    )
    table = planned(config)
    assert types_of(table) == {"email": {"string": 1}, "address.city": {"string": 1}, "address.zip": {"int": 1}}
    assert [column["name"] for column in table["columns"][3:]] == ["email", "address_city", "address_zip"]
    assert "ann@" not in plan(config) + plan(config, "--json")


def test_nothing_is_written_and_redis_is_not_needed(
    odd: Database[Document], config_file: ConfigFile, empty_dsn: str, pg_dsn: str, pipeline: Pipeline
) -> None:
    pipeline.load("items")
    odd.items.insert_one({"_id": 9, "new": 1})
    for dsn in (empty_dsn, pg_dsn):
        before = everything(dsn), odd.command("dbHash")["md5"], odd.client.list_database_names()
        with refusing_port() as port:
            config = config_file(
                destination={"type": "postgresql", "connection_string": dsn},
                redis={"connection_string": f"redis://127.0.0.1:{port}/0"},
            )
            plan(config)
            plan(config, "--sample", "3", "--json")
        assert (everything(dsn), odd.command("dbHash")["md5"], odd.client.list_database_names()) == before


def test_of_a_table_that_is_there_only_what_changes_is_proposed(
    odd: Database[Document], config_file: ConfigFile, pipeline: Pipeline, pg_dsn: str
) -> None:
    pipeline.load("items")
    assert planned(config_file())["ddl"] == []
    odd.items.insert_one({"_id": 9, "new": 1, "n": 1.5})
    table = planned(config_file())
    assert (table["action"], table["ours"], len(table["ddl"])) == ("follow", True, 1)
    assert {column["name"]: column["type"] for column in table["columns"] if column["new"]} == {
        "n": "double precision",
        "new": "bigint",
    }
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(table["ddl"][0].encode())
    assert {(column["name"], column["type"]) for column in table["columns"]} == {
        row[:2] for row in catalog(pg_dsn, table["target"])
    }


def test_what_is_in_the_way_fails(odd: Database[Document], config_file: ConfigFile, pg_dsn: str) -> None:
    with psycopg.connect(pg_dsn) as connection:
        connection.execute(f'CREATE SCHEMA "{odd.name}"'.encode())
        connection.execute(f'CREATE TABLE "{odd.name}".items (mine int)'.encode())
    output = plan(config_file(), code=ExitCode.FAILED)
    assert "items" in output
    assert "exists, and cartridge-warp did not make it" in output
    assert plan(config_file(), "--table", "nothing", code=ExitCode.USAGE).endswith("no collection 'nothing'\n")


def test_a_table_that_cannot_be_read_is_in_the_way_and_the_others_are_read(
    odd: Database[Document], config_file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd.secrets.insert_one({"_id": 1})
    inspect = MongoSource.inspect

    def refuse(source: MongoSource, schema: str, table: str, *more: Any) -> Iterator[list[Inspected]]:
        if table == "secrets":
            raise Fatal("not authorized", remedy="grant it")
        return inspect(source, schema, table, *more)

    monkeypatch.setattr(MongoSource, "inspect", refuse)
    result = json.loads(plan(config_file(), "--json", code=ExitCode.FAILED).splitlines()[0])
    assert result["problems"] == [f"{odd.name}.secrets cannot be read: not authorized: grant it"]
    [schema] = result["schemas"]
    assert [(table["read"], table["whole"]) for table in schema["tables"]] == [(len(ODD), True), (0, False)]


def test_hundreds_of_fields_are_readable_at_100_columns(database: Database[Document], config_file: ConfigFile) -> None:
    database["pg_odd\x1b[31m"].insert_one({"_id": 1, **{f"a field, {number} of many": "x" for number in range(300)}})
    database.items.insert_many([{**document, "_id": ObjectId(), "x\x1b[31m": 1, "\n": 1} for document in ODD])
    output = plan(config_file())
    assert all(len(line) <= WIDTH for line in output.splitlines()), max(output.splitlines(), key=len)
    assert "\x1b" not in output
    assert output.count("a field, 299 of many") == 2, "with its types, and in the DDL"
    assert f'CREATE TABLE "{database.name}"."items"' in output
