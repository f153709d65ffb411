"""The change stream of a real replica set: raw routing against the driver's own decoding, order, and resuming."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Binary, Decimal128, Int64
from pymongo.database import Database

from tests.support.wait import eventually
from tests.support.writer import COLLECTIONS, Writer
from warp.change import Operation, RoutedChange, cluster_time
from warp.errors import StreamInvalid
from warp.sources.base import ChangeStream, StreamPoint
from warp.sources.mongodb.codec import key_of
from warp.sources.mongodb.decoding import OPTIONS
from warp.sources.mongodb.source import MongoSource

WAIT = 0.5
CHANGES = 600


def drained(stream: ChangeStream, changes: int) -> list[RoutedChange]:
    """So many changes of a stream, and no more."""
    found: list[RoutedChange] = []

    def read() -> bool:
        found.extend(stream.next_batch(WAIT).changes)
        return len(found) >= changes

    eventually(read, what=f"{changes} changes")
    assert len(found) == changes
    return found


def followed(stream: ChangeStream, expected: list[RoutedChange], ts: int) -> None:
    """What the stream says next is what is expected, after changes of the time `ts` said again, if any."""
    found: list[RoutedChange] = []

    def read() -> bool:
        found.extend(stream.next_batch(WAIT).changes)
        return found[-1:] == expected[-1:]

    eventually(read, what="the last change")
    again, following = found[: -len(expected)], found[-len(expected) :]
    assert following == expected
    assert {change.ts for change in again} <= {ts}


@pytest.fixture
def written(source: MongoSource, database: Database[dict[str, Any]], mongo_uri: str) -> tuple[StreamPoint, list[Any]]:
    """A random workload: the point before it, and its events as the driver decodes them."""
    stream = source.open_stream(database.name, None)
    stream.close()
    watched = database.with_options(codec_options=OPTIONS)
    with watched.watch() as driver, Writer(mongo_uri, [database.name], seed=21) as writer:
        writer.start()
        eventually(lambda: writer.changes >= CHANGES and writer.counts["transaction"] > 2)
        writer.stop()
        events: list[dict[str, Any]] = []
        while (event := driver.try_next()) is not None:
            events.append(event)
    return stream.point, events


def test_raw_routing_agrees_with_the_driver(
    source: MongoSource, database: Database[dict[str, Any]], written: tuple[StreamPoint, list[Any]]
) -> None:
    start, events = written
    stream = source.open_stream(database.name, start)
    routed = drained(stream, len(events))
    stream.close()
    decoded = source.decode(b"".join(change.raw for change in routed))
    for event, change, whole in zip(events, routed, decoded, strict=True):
        stamp = event["clusterTime"]
        key = key_of(event["documentKey"]["_id"])
        assert change.table == event["ns"]["coll"]
        assert change.position == whole.position == event["_id"]["_data"]
        assert change.ts == whole.ts == cluster_time(stamp.time, stamp.inc)
        assert (whole.operation, whole.key) == (event["operationType"], key)
        assert (whole.record is None) == ("fullDocument" not in event)
        assert whole.record is None or whole.record.keys() == event["fullDocument"].keys() - {"_id"}
        assert source.extract(b"".join(one.raw for one in routed), change.position) == change.raw
    assert {event["operationType"] for event in events} == set(Operation)
    assert {change.table for change in routed} == set(COLLECTIONS)
    assert any("lsid" in event for event in events)


def test_positions_sort_in_stream_order(
    source: MongoSource, database: Database[dict[str, Any]], written: tuple[StreamPoint, list[Any]]
) -> None:
    start, events = written
    stream = source.open_stream(database.name, start)
    routed = drained(stream, len(events))
    stream.close()
    positions = [start.position, *(change.position for change in routed)]
    assert positions == sorted(set(positions))
    assert [change.ts for change in routed] == sorted(change.ts for change in routed)
    assert len({change.ts for change in routed}) < len(routed), "changes of a transaction share a time"
    assert routed[-1].position <= stream.point.position


def test_a_stream_resumes_after_any_change_even_in_mid_transaction(
    source: MongoSource, database: Database[dict[str, Any]], written: tuple[StreamPoint, list[Any]]
) -> None:
    start, events = written
    stream = source.open_stream(database.name, start)
    routed = drained(stream, len(events))
    stream.close()
    times = [change.ts for change in routed]
    inside = next(at for at in range(1, len(times)) if times[at - 1] == times[at] and times[at] != times[-1])
    for at in (1, inside, inside + 1, len(routed) - 1):
        point = StreamPoint(position=routed[at - 1].position, ts=routed[at - 1].ts)
        resumed = source.open_stream(database.name, point)
        assert resumed.point == point
        followed(resumed, routed[at:], point.ts)
        resumed.close()


@pytest.mark.parametrize("refused", ["82FF", "a deleted oplog entry"])
def test_a_refused_token_falls_back_to_the_cluster_time(
    refused: str, source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    stream = source.open_stream(database.name, None)
    start = stream.point
    database["things"].insert_many([{"_id": key} for key in ("one", "two", "three")])
    routed = drained(stream, 3)
    stream.close()
    # The same token, but of a document that never was.
    elsewhere = routed[0].position.replace(b"one".hex().upper(), b"eno".hex().upper())
    assert elsewhere != routed[0].position
    position = refused if refused == "82FF" else elsewhere
    resumed = source.open_stream(database.name, StreamPoint(position=position, ts=start.ts))
    assert drained(resumed, 3) == routed
    resumed.close()


def test_a_token_that_the_server_finds_unknown_while_streaming(
    source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    """Nothing followed it when the stream was opened: the server notices with the first change that does."""
    stream = source.open_stream(database.name, None)
    start = stream.point
    database["things"].insert_one({"_id": "one"})
    [first] = drained(stream, 1)
    stream.close()
    nowhere = first.position.replace(b"one".hex().upper(), b"zzz".hex().upper())
    opened = source.open_stream(database.name, StreamPoint(position=nowhere, ts=start.ts))
    assert not opened.next_batch(WAIT).changes
    database["things"].insert_one({"_id": "two"})
    with pytest.raises(StreamInvalid):
        eventually(lambda: opened.next_batch(WAIT).changes)
    opened.close()
    again = source.open_stream(database.name, opened.point)
    routed = drained(again, 2)
    assert routed[0] == first
    again.close()


@pytest.mark.parametrize(
    "key",
    [7, Int64(2**40), 3.5, 0.1, -0.0, Decimal128("4.10"), {"a": 5.25}, None, True, Binary(b"x" * 16, 4)],
    ids=repr,
)
def test_a_stream_resumes_after_a_change_of_any_kind_of_key(
    key: Any, source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    stream = source.open_stream(database.name, None)
    database["keys"].insert_one({"_id": key})
    database["keys"].insert_one({"_id": "after it"})
    routed = drained(stream, 2)
    stream.close()
    resumed = source.open_stream(database.name, StreamPoint(position=routed[0].position, ts=routed[0].ts))
    followed(resumed, [routed[1]], routed[0].ts)
    resumed.close()


def test_keys_that_mongodb_holds_equal_have_one_hash(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    stream = source.open_stream(database.name, None)
    ways: list[Any] = [8, Int64(8), 8.0, Decimal128("8"), Decimal128("8.00")]
    inside: list[Any] = [{"a": 8, "b": [1]}, {"a": 8.0, "b": [Int64(1)]}]
    for way in ways + inside:
        database["keys"].insert_one({"_id": way})
        database["keys"].delete_one({"_id": way})
    routed = drained(stream, 2 * len(ways + inside))
    stream.close()
    assert len({change.key_hash for change in routed[:10]}) == 1
    assert len({change.key_hash for change in routed[10:]}) == 1
    decoded = source.decode(b"".join(change.raw for change in routed))
    assert len({change.key for change in decoded}) == 2


def test_the_point_of_an_idle_stream_moves_on(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    stream = source.open_stream(database.name, None)
    before = stream.point
    elsewhere = database.client[f"{database.name}_elsewhere"]
    elsewhere["noise"].insert_one({})
    ts = source.now()
    eventually(lambda: not stream.next_batch(WAIT).changes and stream.point.ts >= ts)
    stream.close()
    assert stream.point.position > before.position
    database["things"].insert_one({"_id": 1})
    resumed = source.open_stream(database.name, stream.point)
    assert [change.table for change in drained(resumed, 1)] == ["things"]
    resumed.close()
    database.client.drop_database(elsewhere)


def test_large_replies(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    stream = source.open_stream(database.name, None)
    database["pages"].insert_many({"_id": number, "text": str(number) * 100_000} for number in range(300))
    routed = drained(stream, 300)
    stream.close()
    decoded = source.decode(b"".join(change.raw for change in routed))
    assert [change.key.text for change in decoded] == [str(number) for number in range(300)]
    assert decoded[299].record == {"text": "299" * 100_000}


def test_a_stream_that_a_drop_of_the_database_ended_is_opened_again(
    source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    stream = source.open_stream(database.name, None)
    database["things"].insert_one({"_id": 1})
    database.client.drop_database(database.name)
    tables: list[str] = []
    with pytest.raises(StreamInvalid):
        eventually(lambda: tables.extend(change.table for change in stream.next_batch(WAIT).changes))
    database["others"].insert_one({"_id": 2})
    resumed = source.open_stream(database.name, stream.point)
    assert tables == ["things"]
    assert [change.table for change in drained(resumed, 1)] == ["others"]
    resumed.close()
