"""Keys about as long as an index of PostgreSQL takes: one more byte makes a dead letter, and stops nothing."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pymongo.database import Database

from tests.support.pipeline import Pipeline
from warp.config import TableSettings
from warp.metadata.base import LetterFilter, LetterState, StoredLetter
from warp.sources.mongodb.codec import key_of
from warp.verify import TableResult, verify_schema
from workers.replay import Outcome, Replayer
from workers.report import Report

LONGEST = 2692
"""Bytes of a text that does not compress: 2,704 without the headers of the index's row and of the text."""
QUOTES = 2
"""Bytes that a text takes more in a table that has keys of other kinds: it is JSON there."""
WAYS = ("insert", "update", "load")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_RANDOM = "".join(random.Random(2704).choices(_ALPHABET, k=20_000))

FIT = [_RANDOM[: LONGEST - QUOTES], "k" * 200_000, "ä" * 50_000, {"object": "k" * 200_000}]
TOO_LONG = [
    _RANDOM[: LONGEST + 1],
    _RANDOM[:5000],
    _RANDOM,
    "k" * 300_000,
    {"object": _RANDOM[:4000]},
    _RANDOM[:4000].encode(),
]


@pytest.fixture(params=[1, "a"], ids=["a table of numbers", "a table of texts"])
def first(request: pytest.FixtureRequest) -> Any:
    """The key that comes first, and decides the column."""
    return request.param


def arrive(way: str, pipeline: Pipeline, database: Database[dict[str, Any]], first: Any) -> None:
    """A document with the first key comes, then some with keys that fit and some with keys that do not."""
    documents = [{"_id": key, "n": 1} for key in (*FIT, *TOO_LONG)]
    table = database["orders"]
    if way == "load":
        table.insert_many([{"_id": first}, *documents])
        pipeline.load("orders")
        return
    pipeline.tailer.tick()
    table.insert_one({"_id": first})
    pipeline.follow("orders", 1)
    table.insert_many(documents)
    if way == "update":
        table.update_many({"n": 1}, {"$set": {"n": 2}})
    pipeline.follow("orders", len(documents) * (2 if way == "update" else 1))


def letters(pipeline: Pipeline, state: LetterState) -> list[StoredLetter]:
    """The dead letters in that state."""
    chosen = LetterFilter(schema=pipeline.schema, state=state)
    return pipeline.connections.destination.metadata.letters(chosen, None)


def verified(pipeline: Pipeline) -> TableResult:
    """What `verify` finds at once."""
    source, destination = pipeline.connections.source, pipeline.connections.destination
    [result] = verify_schema(source, destination, pipeline.schema, patience=0)
    return result


@pytest.mark.parametrize("way", WAYS)
def test_a_key_too_long_for_an_index_is_a_dead_letter(
    way: str, first: Any, pipeline: Pipeline, database: Database[dict[str, Any]]
) -> None:
    arrive(way, pipeline, database, first)
    found = [stored.letter for stored in letters(pipeline, LetterState.OPEN)]
    assert {letter.key for letter in found} == {key_of(key) for key in TOO_LONG}
    for letter in found:
        assert "_id is too long for an index of PostgreSQL: it takes " in letter.error
        assert "give the document a shorter _id" in str(letter.remedy)
        assert _RANDOM[:9] not in f"{letter.error}{letter.remedy}{letter.traceback}"
    result = verified(pipeline)
    assert (result.target_rows, result.missing, result.different) == (1 + len(FIT), len(TOO_LONG), 0)
    # A change of another document is applied as if nothing was.
    database["orders"].update_one({"_id": first}, {"$set": {"n": 3}})
    pipeline.follow("orders", 1)
    assert verified(pipeline).missing == len(TOO_LONG)
    assert again(pipeline) == {Outcome.FAILED}
    # What the remedy says settles them; a delete of such a document is none to be parked.
    database["orders"].insert_one({"_id": _RANDOM[:2600], "n": 1})
    database["orders"].delete_many({"_id": {"$in": TOO_LONG}})
    pipeline.follow("orders", 1 + len(TOO_LONG))
    assert letters(pipeline, LetterState.OPEN) == []
    assert len(letters(pipeline, LetterState.SUPERSEDED)) == len(TOO_LONG)
    assert verified(pipeline).identical


SETTINGS = TableSettings(batch_size=1000, deletion_strategy="hard", partitions=1)


def again(pipeline: Pipeline, settings: TableSettings = SETTINGS) -> set[Outcome]:
    """Replay all letters that are open, oldest first; what came of them."""
    source, destination = pipeline.connections.source, pipeline.connections.destination
    replayer = Replayer(
        source,
        destination,
        settings=lambda _: settings,
        report=Report(),
        wait=lambda _: None,
    )
    return {replayer.replay(stored.number).outcome for stored in letters(pipeline, LetterState.OPEN)}


def test_deletes_of_such_keys_alone(pipeline: Pipeline, database: Database[dict[str, Any]]) -> None:
    """Also while a first load is open, when deletes are remembered by their keys."""
    database["orders"].insert_many([{"_id": key} for key in (1, *TOO_LONG)])
    pipeline.tailer.tick()
    pipeline.snapshots.tick()
    database["orders"].delete_many({"_id": {"$in": TOO_LONG}})
    pipeline.follow("orders", len(TOO_LONG))
    pipeline.load("orders")
    assert letters(pipeline, LetterState.OPEN) == []
    result = verified(pipeline)
    assert (result.identical, result.target_rows) == (True, 1)


def test_a_value_too_long_for_an_index_that_was_added_by_hand(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.tailer.tick()
    database["orders"].insert_one({"_id": 1, "name": "short"})
    pipeline.follow("orders", 1)
    postgresql.execute(sql.SQL("CREATE INDEX by_name ON {} (name)").format(sql.Identifier(database.name, "orders")))
    database["orders"].insert_many([{"_id": 2, "name": _RANDOM[:4000]}, {"_id": 3, "name": "also short"}])
    pipeline.follow("orders", 2)
    [stored] = letters(pipeline, LetterState.OPEN)
    assert 'a value is too long for the index "by_name"' in stored.letter.error
    assert "drop the index" in str(stored.letter.remedy)
    postgresql.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(database.name, "by_name")))
    assert again(pipeline) == {Outcome.APPLIED}
    assert verified(pipeline).identical
