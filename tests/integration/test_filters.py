"""Filters from end to end, over real servers and real processes: nothing that is hidden is written anywhere."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import psycopg
from bson import DBRef
from click.testing import CliRunner
from psycopg import sql
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support.fleet import Fleet
from warp.cli.main import main
from warp.errors import ExitCode

SECRET = "ann.lee@example.org"
SALT = "a salt of these tests"
HASH = sha256(f"{SALT}{SECRET}".encode()).hexdigest()
PERSON: dict[str, Any] = {
    "name": SECRET,
    "email": SECRET,
    "phone": SECRET,
    "birthday": SECRET,
    "address": {"street": SECRET, "city": "Ulm"},
    "contacts": [{"email": SECRET, "kind": "home"}, {"email": SECRET}],
    "special": {"secret": SECRET, "zero": -0.0},
    "link": DBRef("people", SECRET),
    "v": 1,
}
FILTERS: dict[str, Any] = {
    "mask_salt": SALT,
    "exclude_tables": ["secret*"],
    "exclude_fields": ["phone", "*.street", "special.secret"],
    "mask": {"name": "redact", "birthday": None, "email": "hash", "contacts.email": "hash", "link.$id": "redact"},
}


def dump(postgresql: psycopg.Connection, schema: str) -> str:
    """Everything that is held in the mirrored schema and in the metadata, as text."""
    tables = postgresql.execute(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN (%s, 'cartridge_warp')",
        [schema],
    ).fetchall()
    assert {"dead_letters", "error_log", "schema_registry", "audit_log"} <= {name for _, name in tables}
    rows = []
    for table in tables:
        query = sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(*table))
        rows += [text for (text,) in postgresql.execute(query)]
    payloads = postgresql.execute("SELECT encode(payload, 'escape') FROM cartridge_warp.dead_letters")
    return "\n".join([*rows, *(text for (text,) in payloads)])


def rows(postgresql: psycopg.Connection, schema: str, table: str = "people") -> list[dict[str, Any]]:
    query = sql.SQL("SELECT to_jsonb(t) FROM {} AS t ORDER BY _id").format(sql.Identifier(schema, table))
    return [row for (row,) in postgresql.execute(query)]


def test_what_is_hidden_is_written_nowhere(
    database: Database[dict[str, Any]], config_file: ConfigFile, postgresql: psycopg.Connection, fleet: Fleet
) -> None:
    people, table = database.people, sql.Identifier(database.name, "people")
    config = config_file(**FILTERS)
    written: list[str] = []

    def run(*words: str, code: int = ExitCode.DONE) -> str:
        result = CliRunner().invoke(main, [*words, "--config", str(config)])
        assert result.exit_code == code, result.output
        written.append(result.output)
        return result.stdout

    def mirror() -> None:
        words = ("run", "--until-caught-up", "--workers", "1", "--log-level", "DEBUG")
        ended, output = fleet.run(config, *words, deadline=90.0)
        assert ended == ExitCode.DONE, output
        written.append(output)

    people.insert_one({"_id": 1, **PERSON})
    database.secrets.insert_one({"_id": 1, "of": SECRET})
    assert "secrets: excluded by the configuration" in run("run", "--dry-run")
    mirror()
    postgresql.execute(sql.SQL("ALTER TABLE {} ADD CONSTRAINT forbidden CHECK (v <> 77)").format(table))
    people.insert_many([{"_id": 2, **PERSON, "v": 77}, {"_id": 3, **PERSON}, {"_id": 4, "v": SECRET, "email": 5}])
    people.update_one({"_id": 4}, {"$set": {"v": {"secret": 1}, "phone": SECRET}})
    people.update_one({"_id": 1}, {"$set": {"w": 1}})
    people.replace_one({"_id": 3}, {**PERSON, "email": [SECRET], "name": {"first": SECRET}})
    database.secrets.insert_one({"_id": 2, "of": SECRET})
    mirror()

    held = rows(postgresql, database.name)
    assert [row["_id"] for row in held] == [1, 3, 4]
    assert {"phone"}.isdisjoint(held[0])
    assert (held[0]["email"], held[0]["name"], held[0].get("birthday"), held[0]["w"]) == (HASH, "redacted", None, 1)
    assert (held[0]["address"], held[0]["link"]) == ({"city": "Ulm"}, {"$ref": "people", "$id": "redacted"})
    assert held[0]["contacts"] == [{"email": HASH, "kind": "home"}, {"email": HASH}]
    assert held[0]["_extra"] == {"birthday": None, "special": {"zero": {"$numberDouble": "-0.0"}}}
    assert (held[1]["name"], len(held[1]["email"]), len(held[2]["email"])) == ("redacted", 64, 64)
    assert held[2]["_extra"] == {"v": {"secret": {"$numberInt": "1"}}}

    [(number, payload)] = postgresql.execute("SELECT id, payload FROM cartridge_warp.dead_letters").fetchall()
    assert payload == b""
    assert "excluded by the configuration: secrets" in run("status")
    assert "none: a replay looks the document up by its key" in run("dlq", "show", str(number))
    run("verify", "--patience", "1", code=ExitCode.DIFFERENT)
    postgresql.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT forbidden").format(table))
    assert f"{number}: applied" in run("dlq", "replay", "--all")
    result = json.loads(run("verify", "--json"))
    assert result["identical"]
    assert [each["table"] for each in result["tables"] if each.get("excluded")] == ["secrets"]
    assert rows(postgresql, database.name)[1]["email"] == HASH

    assert SECRET not in dump(postgresql, database.name)
    assert SECRET not in "".join(written)
    assert SALT not in dump(postgresql, database.name) + "".join(written)

    config = config_file(**{**FILTERS, "exclude_tables": [], "exclude_fields": [*FILTERS["exclude_fields"], "of"]})
    mirror()
    assert [row["_id"] for row in rows(postgresql, database.name, "secrets")] == [1, 2]
    assert json.loads(run("verify", "--json"))["identical"]
    assert SECRET not in dump(postgresql, database.name) + "".join(written)
