"""Change events of more than 16 MB, which MongoDB cannot send: its documents can be, and are looked up instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import bson
import pytest
from pymongo.database import Database

from tests.support.wait import eventually
from warp.change import Change, Operation
from warp.sources.base import ChangeStream, Source, StreamBatch
from warp.sources.mongodb.source import open_source
from warp.sources.mongodb.stream import LARGEST_KEY

MOST_BYTES = 16 * 1024 * 1024
LONG_KEY = "k" * 9_000
"""Long enough for the event of the largest document, and short enough for all other purposes."""


@pytest.fixture
def source(mongo_uri: str) -> Iterator[Source]:
    source = open_source(mongo_uri)
    yield source
    source.close()


def largest(key: Any) -> dict[str, Any]:
    """A document of exactly the largest size."""
    return {"_id": key, "v": "x" * (MOST_BYTES - len(bson.encode({"_id": key, "v": ""})))}


def batches(stream: ChangeStream, count: int) -> list[StreamBatch]:
    """Batches that together have so many changes."""
    read: list[StreamBatch] = []

    def enough() -> bool:
        read.append(stream.next_batch(0.2))
        return sum(len(batch.changes) for batch in read) >= count

    eventually(enough, what=f"{count} changes")
    return read


def read(source: Source, stream: ChangeStream, count: int) -> list[Change]:
    """So many changes."""
    changes = source.decode(b"".join(change.raw for batch in batches(stream, count) for change in batch.changes))
    assert len(changes) == count
    return changes


@pytest.mark.parametrize("reopened", [False, True], ids=["while streaming", "when opening"])
def test_the_stream_goes_on(source: Source, database: Database[dict[str, Any]], reopened: bool) -> None:
    database.orders.insert_one({"_id": 0})
    stream = source.open_stream(database.name, None)
    start = stream.point
    before = [{"_id": number} for number in range(1, 120)]
    database.orders.insert_many(before)
    database.orders.insert_one(largest(LONG_KEY))
    database.orders.update_one({"_id": LONG_KEY}, {"$set": {"v": "y" * (MOST_BYTES - 10_000)}})
    database.orders.insert_many([{"_id": 200, "a": 1}, {"_id": 201, "a": 2}])
    if reopened:
        stream.close()
        stream = source.open_stream(database.name, start)
    changes = read(source, stream, 119 + 2 + 2)
    assert [change.key.text for change in changes] == [*map(str, range(1, 120)), LONG_KEY, LONG_KEY, "200", "201"]
    large = changes[119]
    assert (large.operation, large.record) == (Operation.INSERT, None)
    [found] = source.lookup(database.name, "orders", [large.key], large.ts)
    assert found.documents[0][1]["v"] == "y" * (MOST_BYTES - 10_000)
    # In its own form again.
    database.orders.insert_one({"_id": 300, "a": 3})
    assert [change.record for change in read(source, stream, 1)] == [{"a": 3}]
    stream.close()


def test_a_key_that_no_event_can_hold_is_passed_over(
    source: Source, database: Database[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """PostgreSQL could not hold it either; one document must not stop all others, and a person must hear of it."""
    stream = source.open_stream(database.name, None)
    database.orders.insert_one({"_id": 1})
    database.orders.insert_one({"_id": "k" * (LARGEST_KEY + 3_000_000)})
    database.orders.insert_one({"_id": 2})
    found = batches(stream, 2)
    changes = source.decode(b"".join(change.raw for batch in found for change in batch.changes))
    assert [change.key.text for change in changes] == ["1", "2"]
    [error] = chain.from_iterable(batch.passed_over for batch in found)
    assert "_id has more than 4 MB" in str(error)
    query = str(error.remedy).split("find(")[1].removesuffix(")")
    assert "kkk" not in capsys.readouterr().out
    stream.close()
    # What the remedy says does find it.
    found_by = json.loads(re.sub(r"(\$?\w+):", r'"\1":', query))
    assert [len(document["_id"]) for document in database.orders.find(found_by)] == [LARGEST_KEY + 3_000_000]
