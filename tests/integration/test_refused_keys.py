"""A key of another kind where PostgreSQL refuses to make the key column text: a dead letter, and everything else goes
on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from bson import Binary
from psycopg import sql
from pymongo.database import Database

from tests.integration.test_long_keys import again, letters, verified
from tests.support.pipeline import Pipeline
from warp.change import KeyKind, TableRef
from warp.errors import Fatal
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.metadata.base import LetterState
from warp.verify import verify_schema
from workers.replay import Outcome

NUMBERS = [1, 2, 3]
UUIDS = [Binary.from_uuid(UUID(int=number)) for number in NUMBERS]
OTHERS = ["a", "b", {"of": "an object"}]

OBSTACLES: dict[str, tuple[LiteralString, LiteralString]] = {
    "view": ("CREATE VIEW {schema}.obstacle AS SELECT * FROM {table}", "DROP VIEW {schema}.obstacle"),
    "foreign key": (
        "CREATE TABLE {schema}.obstacle (item bigint REFERENCES {table} (_id))",
        "DROP TABLE {schema}.obstacle",
    ),
    "expression index": ("CREATE INDEX obstacle ON {table} ((_id % 10))", "DROP INDEX {schema}.obstacle"),
    "publication": (
        "CREATE PUBLICATION obstacle FOR TABLE {table} WHERE (_id > 0)",
        "DROP PUBLICATION obstacle",
    ),
}


def _put(postgresql: psycopg.Connection, schema: str, obstacle: str, *, gone: bool = False) -> None:
    statement = sql.SQL(OBSTACLES[obstacle][gone])
    postgresql.execute(
        statement.format(schema=sql.Identifier(schema), table=sql.Identifier(schema, "items")),
    )


def _shape(pipeline: Pipeline) -> Shape:
    return pipeline.connections.destination.tables(pipeline.schema)["items"]


def _begin(pipeline: Pipeline, database: Database[dict[str, Any]], keys: Sequence[Any]) -> None:
    """The first of these keys comes by the stream, and decides the column."""
    pipeline.tailer.tick()
    database["items"].insert_one({"_id": keys[0], "n": 0})
    pipeline.follow("items", 1)


@pytest.mark.parametrize(
    ("obstacle", "keys"),
    [(obstacle, NUMBERS) for obstacle in OBSTACLES] + [("view", UUIDS)],
    ids=[*OBSTACLES, "view, a table of UUIDs"],
)
def test_a_key_that_is_refused_is_a_dead_letter_until_nothing_is_in_the_way(
    obstacle: str,
    keys: Sequence[Any],
    pipeline: Pipeline,
    database: Database[dict[str, Any]],
    postgresql: psycopg.Connection,
) -> None:
    _begin(pipeline, database, keys)
    _put(postgresql, database.name, obstacle)
    items = database["items"]
    items.insert_many([{"_id": key, "n": 1, "new": 1} for key in (keys[1], *OTHERS, keys[2])])
    items.update_one({"_id": keys[0]}, {"$set": {"n": 1}})
    items.delete_one({"_id": OTHERS[1]})
    pipeline.follow("items", 7)
    found = [stored.letter for stored in letters(pipeline, LetterState.OPEN)]
    assert {letter.key.kind for letter in found} == {KeyKind.STRING, KeyKind.JSON}
    assert len(found) == 2
    for letter in found:
        assert "does not fit the key column" in letter.error
        assert "which PostgreSQL refuses to make text: " in letter.error
        assert "dlq replay" in str(letter.remedy)
    result = verified(pipeline)
    assert (result.target_rows, result.missing, result.different) == (3, 2, 0)
    version = _shape(pipeline).version
    # A delete is none to be parked, and voids the letter; nor is anything decided again.
    items.delete_one({"_id": OTHERS[2]})
    pipeline.follow("items", 1)
    assert len(letters(pipeline, LetterState.OPEN)) == 1
    assert again(pipeline) == {Outcome.FAILED}
    assert _shape(pipeline).version == version
    _put(postgresql, database.name, obstacle, gone=True)
    assert again(pipeline) == {Outcome.APPLIED}
    shape = _shape(pipeline)
    assert (shape.version, shape.mixed_keys, shape.key_refused) == (version + 1, True, "")
    items.insert_one({"_id": "late", "n": 1})
    pipeline.follow("items", 1)
    assert verified(pipeline).identical


def test_a_first_load_goes_on_beside_a_key_that_is_refused(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    items = database["items"]
    items.insert_many([{"_id": key, "n": 0} for key in (*OTHERS, *NUMBERS[1:])])
    pipeline.tailer.tick()
    items.insert_one({"_id": 1, "n": 0})
    pipeline.follow("items", 1)
    _put(postgresql, database.name, "view")
    items.delete_one({"_id": OTHERS[0]})
    pipeline.follow("items", 1)
    pipeline.load("items")
    assert len(letters(pipeline, LetterState.OPEN)) == 2
    result = verified(pipeline)
    assert (result.target_rows, result.missing, result.different) == (3, 2, 0)
    _put(postgresql, database.name, "view", gone=True)
    assert again(pipeline) == {Outcome.APPLIED}
    assert verified(pipeline).identical


def test_a_column_and_the_key_that_are_refused_at_once(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    _begin(pipeline, database, NUMBERS)
    _put(postgresql, database.name, "view")
    database["items"].insert_many([{"_id": 2, "n": 0.5}, {"_id": "a", "n": 0.5}, {"_id": 3, "new": True}])
    pipeline.follow("items", 3)
    assert len(letters(pipeline, LetterState.OPEN)) == 1
    result = verified(pipeline)
    assert (result.target_rows, result.missing, result.different) == (3, 1, 0)


def test_a_history_goes_on_beside_a_key_that_is_refused(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.settings = replace(pipeline.settings, layout=Layout.HISTORY)
    _begin(pipeline, database, NUMBERS)
    _put(postgresql, database.name, "view")
    items = database["items"]
    items.insert_many([{"_id": "a"}, {"_id": 2}, {"_id": "b"}])
    items.delete_one({"_id": "a"})
    pipeline.follow("items", 4)
    # A delete is a row like any other there.
    assert len(letters(pipeline, LetterState.OPEN)) == 3
    assert pipeline.connections.destination.count(TableRef(pipeline.schema, "items")) == 2
    _put(postgresql, database.name, "view", gone=True)
    assert again(pipeline, pipeline.settings) == {Outcome.APPLIED}
    source, destination = pipeline.connections.source, pipeline.connections.destination
    [result] = verify_schema(
        source, destination, pipeline.schema, patience=0, fields=lambda _: pipeline.settings.fields
    )
    assert result.identical


def test_a_table_altered_by_hand_is_no_refusal(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    """A person must alter it back, and the table waits for that: no letter is needed."""
    _begin(pipeline, database, NUMBERS)
    table = sql.Identifier(database.name, "items")
    postgresql.execute(sql.SQL("ALTER TABLE {} RENAME COLUMN _id TO elsewhere").format(table))
    database["items"].insert_one({"_id": "a"})
    with pytest.raises(Fatal):
        pipeline.follow("items", 1)
    postgresql.execute(sql.SQL("ALTER TABLE {} RENAME COLUMN elsewhere TO _id").format(table))
    pipeline.follow("items", 1)
    assert (_shape(pipeline).key_refused, verified(pipeline).identical) == ("", True)
