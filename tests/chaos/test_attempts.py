"""Attempts: each with stamps of its own, deletes on record before they are made, operations in an order that holds."""

from __future__ import annotations

import threading
from collections import Counter
from random import Random
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import AutoReconnect, BulkWriteError

from tests.chaos.attempts import MAJORITY, Attempts, Record, arrange
from tests.chaos.operations import Kind, Operation
from tests.chaos.shares import PROFILES, Share

_Database = Database[dict[str, Any]]


def _operations(*steps: tuple[Kind, str]) -> list[Operation]:
    return [Operation(kind, {doc: doc}, None if kind.deletes else {"n": 1}) for kind, doc in steps]


@pytest.fixture
def attempts(database: _Database) -> Attempts:
    """Attempts at the shared server."""
    return Attempts(database.client, Record(), threading.Event())


def test_stamps_grow_and_deletes_are_on_record() -> None:
    record = Record()
    [insert, delete] = _operations((Kind.INSERT, "a"), (Kind.DELETE, "a"))
    assert [record.stamp(operation) for operation in (insert, delete, insert, delete)] == [1, 2, 3, 4]
    assert record.ended == {"a": [2, 4]}


def test_operations_of_one_document_keep_their_order() -> None:
    steps = [(Kind.INSERT, "a"), (Kind.DELETE, "b"), (Kind.DELETE, "a"), (Kind.INSERT, "c"), (Kind.INSERT_AGAIN, "a")]
    arranged = arrange(_operations(*steps))
    assert [(operation.kind, *operation.docs) for operation in arranged if "a" in operation.docs] == steps[::2]
    assert [operation.command for operation in arranged] == ["delete", "insert", "insert", "delete", "insert"]


def test_an_operation_of_several_documents_stays_between_those_of_each() -> None:
    both = Operation(Kind.UPDATE_MANY, {"a": "a", "b": "b"}, {"$inc": {"n": 1}})
    first, second, third = _operations((Kind.INSERT, "a"), (Kind.INSERT, "b"), (Kind.DELETE, "b"))
    assert arrange([first, second, both, third]) == [first, second, both, third]


def test_an_attempt_with_unknown_outcome_is_repeated_with_higher_stamps(
    attempts: Attempts, database: _Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the first attempt was carried out, and its answer lost."""
    collection = database["things"]
    carry_out = type(collection).bulk_write
    answers = Counter[str]()

    def lose_the_first_answer(self: Any, *arguments: Any, **options: Any) -> Any:
        done = carry_out(self, *arguments, **options)
        answers["lost"] += 1
        if answers["lost"] == 1:
            raise AutoReconnect("the connection is gone")
        return done

    monkeypatch.setattr(type(collection), "bulk_write", lose_the_first_answer)
    steps = [(Kind.INSERT, "a"), (Kind.DELETE, "a"), (Kind.INSERT_AGAIN, "a"), (Kind.INSERT, "b")]
    attempts.bulk(collection, _operations(*steps))
    stamps = {document["doc"]: document["stamp"] for document in collection.find()}
    assert answers["lost"] == 2
    assert stamps.keys() == {"a", "b"}
    assert min(stamps.values()) > len(steps)


def test_what_mongodb_refuses_for_good_is_raised(attempts: Attempts, database: _Database) -> None:
    attempts.bulk(database["things"], _operations((Kind.INSERT, "a")))
    with pytest.raises(BulkWriteError, match="duplicate key"):
        attempts.bulk(database["things"], _operations((Kind.INSERT, "a")))


def test_mongodb_takes_every_operation_and_every_document_is_stamped(attempts: Attempts, database: _Database) -> None:
    """What a share believes to exist exists, whichever way it was written."""
    for name in PROFILES:
        collection = database.get_collection(name, write_concern=MAJORITY)
        share = Share(collection, Random(f"{name} 1"))
        attempts.bulk(collection, [share.draw() for _ in range(400)])
        for _ in range(50):
            operation = share.draw()
            if not operation.kind.many:
                attempts.find_and_modify(collection, operation)
            else:
                attempts.bulk(collection, [operation])
        attempts.transaction([(collection, [share.draw() for _ in range(20)] + share.life())])
        found = {document["doc"]: document["stamp"] for document in collection.find({}, ["doc", "stamp"])}
        assert found.keys() == set(share.alive)
        assert min(found.values()) > 0
        assert share.dead
