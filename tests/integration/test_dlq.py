"""`dlq` over real servers: what it lists, shows, replays and discards, and what it says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.integration.parking import REFUSED, TABLE, Parking
from tests.support.refused import refusing_port
from warp.cli import main
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import ExitCode
from warp.metadata.base import LetterState, StoredLetter
from warp.sources.mongodb.source import MongoSource

Dlq = Callable[..., Result]


@pytest.fixture
def parking(
    source: MongoSource,
    destination: PostgresDestination,
    database: Database[dict[str, Any]],
    postgresql: psycopg.Connection,
) -> Parking:
    return Parking(source, destination, database, postgresql)


@pytest.fixture
def letters(parking: Parking) -> list[StoredLetter]:
    """Those of the documents 1 to 3, oldest first."""
    return parking.park(1, 2, 3)


@pytest.fixture
def dlq(config_file: ConfigFile) -> Dlq:
    """Runs `cartridge-warp dlq`."""
    config = str(config_file())

    def run(command: str, *arguments: str, answer: str | None = None) -> Result:
        wide = {"COLUMNS": "250"}
        return CliRunner().invoke(main, ["dlq", command, "--config", config, *arguments], input=answer, env=wide)

    return run


def _listed(result: Result) -> list[Any]:
    assert result.exit_code == ExitCode.DONE, result.output
    found: list[Any] = json.loads(result.stdout)["letters"]
    return [each["key"] for each in found]


def test_without_letters_it_says_so(dlq: Dlq) -> None:
    for command in (["list"], ["replay", "--all"], ["discard", "--all"]):
        result = dlq(*command)
        assert (result.exit_code, result.stdout) == (ExitCode.DONE, "no dead letters\n")


def test_a_list_is_a_line_a_letter_without_values(dlq: Dlq, letters: list[StoredLetter]) -> None:
    result = dlq("list")
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["id", "table", "key", "operation", "error", "tries", "parked"]
    assert [line.split()[0] for line in lines] == [str(each.number) for each in reversed(letters)]
    assert all(letters[0].letter.error in line for line in lines)
    assert str(REFUSED) not in result.stdout.replace(letters[0].letter.ref.schema, "")


def test_letters_are_chosen_by_what_is_known(dlq: Dlq, letters: list[StoredLetter], parking: Parking) -> None:
    schema = parking.ref.schema
    assert _listed(dlq("list", "--json")) == ["3", "2", "1"]
    assert _listed(dlq("list", "--json", "--schema", schema, "--table", TABLE, "--key", "2")) == ["2"]
    assert _listed(dlq("list", "--json", "--error", "constraint", "--newer-than", "2h")) == ["3", "2", "1"]
    assert _listed(dlq("list", "--json", "--older-than", "2h")) == []
    assert _listed(dlq("list", "--json", "--schema", "another")) == []
    result = dlq("list", "--json", "--limit", "2")
    assert _listed(result) == ["3", "2"]
    parking.destination.metadata.discard_letter(letters[1].number)
    assert _listed(dlq("list", "--json")) == ["3", "1"]
    assert _listed(dlq("list", "--json", "--state", "discarded")) == ["2"]
    assert _listed(dlq("list", "--json", "--state", "all")) == ["3", "2", "1"]
    assert "discarded" in dlq("list", "--state", "all").stdout


def test_more_letters_than_are_listed_are_hinted_at(dlq: Dlq, letters: list[StoredLetter]) -> None:
    assert len(letters) == 3
    assert dlq("list", "--limit", "3").stderr == "the newest 3: see --limit\n"
    assert dlq("list", "--limit", "4").stderr == ""


def test_show_says_everything(dlq: Dlq, letters: list[StoredLetter]) -> None:
    number = letters[0].number
    shown = dlq("show", str(number)).stdout
    assert shown.startswith(f"dead letter {number}\n")
    for text in (
        f"table:          {letters[0].letter.ref}",
        "key:            1 (int)",
        "operation:      insert",
        "state:          open",
        "tries:          1",
        f"position:       {letters[0].letter.position}",
        "correlation id: c0ffee",
        f"error:          Poison: {letters[0].letter.error}",
        f"remedy:         {letters[0].letter.remedy}",
        "psycopg.errors.CheckViolation (SQLSTATE 23514)",
        f'"$numberInt": "{REFUSED}"',
        '"operationType": "insert"',
    ):
        assert text in shown
    assert "$numberInt" not in dlq("show", str(number), "--no-payload").stdout


def test_show_as_json_is_one_object(dlq: Dlq, letters: list[StoredLetter]) -> None:
    numbers = [str(each.number) for each in letters[:2]]
    one, two = json.loads(dlq("show", *numbers, "--json").stdout)["letters"]
    assert (one["id"], one["key"], two["key"]) == (letters[0].number, "1", "2")
    assert one["payload"]["fullDocument"] == {"_id": {"$numberInt": "1"}, "v": {"$numberInt": str(REFUSED)}}
    assert one["traceback"] == letters[0].letter.traceback
    [bare] = json.loads(dlq("show", numbers[0], "--json", "--no-payload").stdout)["letters"]
    assert "payload" not in bare


def test_a_letter_of_a_first_load_has_no_payload_to_show(
    dlq: Dlq, letters: list[StoredLetter], postgresql: psycopg.Connection
) -> None:
    postgresql.execute(b"UPDATE cartridge_warp.dead_letters SET payload = '', position = 'x' || id::text")
    number = str(letters[0].number)
    assert "none: a replay looks the document up by its key" in dlq("show", number).stdout
    assert json.loads(dlq("show", number, "--json").stdout)["letters"][0]["payload"] is None


def test_replay_says_of_each_what_came_of_it(dlq: Dlq, letters: list[StoredLetter], parking: Parking) -> None:
    one, two, three = (each.number for each in letters)
    result = dlq("replay", str(one))
    assert result.exit_code == ExitCode.FAILED
    error, remedy = letters[0].letter.error, letters[0].letter.remedy
    assert result.stdout == f"{one}: failed again: {error}\n  remedy: {remedy}\n"

    parking.relent()
    parking.collection.update_one({"_id": 2}, {"$set": {"v": 2}})
    parking.apply()
    result = dlq("replay", str(three), str(two), str(one))
    assert result.stdout == f"{one}: applied\n{two}: not open\n{three}: applied\n"
    assert result.exit_code == ExitCode.DONE
    assert parking.identical()


def test_replay_of_all_that_is_chosen(dlq: Dlq, letters: list[StoredLetter], parking: Parking) -> None:
    parking.relent()
    parking.collection.update_one({"_id": 3}, {"$set": {"v": 3}})
    result = dlq("replay", "--all", "--key", "2", "--json")
    [done] = json.loads(result.stdout)["replayed"]
    assert done == {
        "id": letters[1].number,
        "schema": parking.ref.schema,
        "table": TABLE,
        "outcome": "applied",
        "error": None,
        "remedy": None,
    }
    result = dlq("replay", "--all", "--schema", parking.ref.schema)
    assert result.stdout == f"{letters[0].number}: applied\n{letters[2].number}: applied\n"
    parking.apply()
    assert parking.identical()


def test_a_letter_whose_document_is_gone_is_superseded(
    dlq: Dlq, letters: list[StoredLetter], parking: Parking, postgresql: psycopg.Connection
) -> None:
    postgresql.execute(b"UPDATE cartridge_warp.dead_letters SET payload = '', position = 'x' || id::text")
    parking.relent()
    parking.collection.delete_one({"_id": 1})
    assert dlq("replay", str(letters[0].number)).stdout == f"{letters[0].number}: superseded\n"


def test_letters_of_an_excluded_table_stay_open(
    config_file: ConfigFile, letters: list[StoredLetter], parking: Parking
) -> None:
    parking.relent()
    excluding = ["--config", str(config_file(exclude_tables=[TABLE]))]
    result = CliRunner().invoke(main, ["dlq", "replay", "--all", "--json", *excluding])
    assert result.exit_code == ExitCode.FAILED
    done = json.loads(result.stdout)["replayed"]
    assert [each["id"] for each in done] == [stored.number for stored in letters]
    for each in done:
        assert (each["outcome"], each["error"]) == ("not replayed", f"{parking.ref} is excluded by the configuration")
        assert "include the table again" in each["remedy"]
    assert parking.letters() == letters
    [line, _] = CliRunner().invoke(main, ["dlq", "replay", str(letters[0].number), *excluding]).stdout.splitlines()
    assert line == f"{letters[0].number}: not replayed: {parking.ref} is excluded by the configuration"


def test_while_somebody_has_the_partition_a_replay_is_not_now(
    dlq: Dlq, letters: list[StoredLetter], parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.replay.ATTEMPTS", 1)
    number = letters[0].number
    with parking.destination.transaction() as transaction:
        assert transaction.lock_partition(parking.partition)
        result = dlq("replay", str(number))
    assert result.exit_code == ExitCode.FAILED
    assert result.stdout == f"{number}: not now: {parking.partition} is being worked at\n"
    assert parking.letters()[0] == letters[0]


def test_discard_asks_first(dlq: Dlq, letters: list[StoredLetter], parking: Parking) -> None:
    one, two, _ = (each.number for each in letters)
    refused = dlq("discard", str(one), str(two), answer="n\n")
    assert refused.exit_code == ExitCode.FAILED
    assert "discard 2 dead letters? [y/N]" in refused.stderr
    assert {stored.state for stored in parking.letters()} == {LetterState.OPEN}
    agreed = dlq("discard", str(one), str(two), answer="y\n")
    assert (agreed.exit_code, agreed.stdout) == (ExitCode.DONE, f"{one}: discarded\n{two}: discarded\n")
    assert [stored.state for stored in parking.letters()] == [
        LetterState.DISCARDED,
        LetterState.DISCARDED,
        LetterState.OPEN,
    ]


def test_discard_of_all_that_is_chosen(dlq: Dlq, letters: list[StoredLetter], parking: Parking) -> None:
    result = dlq("discard", "--all", "--newer-than", "1h", "--yes", "--json")
    assert json.loads(result.stdout) == {"discarded": [each.number for each in letters], "not_open": []}
    again = dlq("discard", str(letters[0].number), "--yes", "--json")
    assert json.loads(again.stdout) == {"discarded": [], "not_open": [letters[0].number]}
    assert not parking.identical()


def test_what_was_done_by_hand_is_in_the_audit_log(
    dlq: Dlq, letters: list[StoredLetter], parking: Parking, postgresql: psycopg.Connection
) -> None:
    one, two, _ = (each.number for each in letters)
    dlq("replay", str(one))
    parking.relent()
    dlq("replay", str(one))
    dlq("discard", str(two), "--yes")
    rows = postgresql.execute(
        b"SELECT schema_name, table_name, action, (detail->>'letter')::int, (detail->>'attempts')::int "
        b"FROM cartridge_warp.audit_log ORDER BY id"
    ).fetchall()
    assert rows == [
        (*parking.ref, "dead letter replayed: failed again", one, 2),
        (*parking.ref, "dead letter replayed: applied", one, 3),
        (*parking.ref, "dead letter discarded", two, 1),
    ]


@pytest.mark.parametrize("command", ["show", "replay", "discard"])
def test_an_unknown_letter_is_named(dlq: Dlq, command: str) -> None:
    result = dlq(command, "999")
    assert result.exit_code == ExitCode.FAILED
    assert result.stderr == ("error: there is no dead letter 999\n  remedy: see: cartridge-warp dlq list --state all\n")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("replay", []),
        ("discard", ["--yes"]),
        ("replay", ["17", "--all"]),
        ("replay", ["17", "--schema", "shop"]),
        ("replay", ["--schema", "shop"]),
        ("show", []),
        ("show", ["x"]),
        ("list", ["--state", "lost"]),
        ("list", ["--older-than", "soon"]),
    ],
)
def test_wrong_usage(dlq: Dlq, command: str, arguments: list[str]) -> None:
    result = dlq(command, *arguments)
    assert result.exit_code == ExitCode.USAGE, result.output


def test_without_postgresql_there_are_no_letters(config_file: ConfigFile) -> None:
    with refusing_port() as port:
        config: Path = config_file(destination={"connection_string": f"postgresql://me:hunter2@127.0.0.1:{port}/x"})
        result = CliRunner().invoke(main, ["dlq", "list", "--config", str(config)])
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "hunter2" not in result.output
