"""The contract of sources: the change stream, and what its changes say (`warp.sources.base`)."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest

from tests.contract.changes import TABLE, decoded, key, some_changes, take, take_all
from tests.contract.sources import SourceBench
from tests.support.wait import eventually
from warp.change import Key, KeyKind, Operation, cluster_seconds
from warp.errors import StreamInvalid
from warp.sources.base import StreamPoint


def test_a_stream_from_now_on_has_what_comes_after_and_nothing_from_before(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 0})
    stream = bench.source.open_stream(bench.schema, None)
    some_changes(bench)
    changes = decoded(bench, take(stream, 5))
    assert [(change.operation, change.key) for change in changes] == [
        (Operation.INSERT, key(1)),
        (Operation.INSERT, key(2)),
        (Operation.UPDATE, key(1)),
        (Operation.REPLACE, key(2)),
        (Operation.DELETE, key(1)),
    ]
    stream.close()


def test_positions_sort_in_stream_order_and_times_never_go_back(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    some_changes(bench)
    with bench.transaction():
        bench.insert(TABLE, {"_id": 3})
        bench.update(TABLE, 3, v=1)
    changes = take(stream, 7)
    assert all(earlier.position < later.position for earlier, later in pairwise(changes))
    assert all(change.position.isascii() for change in changes)
    assert all(earlier.ts <= later.ts for earlier, later in pairwise(changes))
    assert changes[-1].ts == changes[-2].ts, "a transaction commits at one time"
    stream.close()


def test_what_routing_says_is_what_decoding_says(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    some_changes(bench)
    routed = take(stream, 5)
    assert [(change.position, change.ts) for change in routed] == [
        (change.position, change.ts) for change in decoded(bench, routed)
    ]
    assert {change.table for change in routed} == {TABLE}
    stream.close()


@pytest.mark.parametrize("seen", range(6))
def test_a_stream_goes_on_just_after_a_point(bench: SourceBench, seen: int) -> None:
    first = bench.source.open_stream(bench.schema, None)
    start = first.point
    some_changes(bench)
    changes = take(first, 5)
    last = changes[seen - 1]
    point = StreamPoint(position=last.position, ts=last.ts) if seen else start
    first.close()
    again = bench.source.open_stream(bench.schema, point)
    assert again.point == point
    assert [change.position for change in take_all(again)] == [change.position for change in changes[seen:]]
    again.close()


def test_a_stream_goes_on_in_the_middle_of_a_transaction(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 0})
    with bench.transaction():
        for number in (1, 2, 3):
            bench.insert(TABLE, {"_id": number})
    changes = take(stream, 4)
    stream.close()
    again = bench.source.open_stream(bench.schema, StreamPoint(position=changes[1].position, ts=changes[1].ts))
    assert [change.key for change in decoded(bench, take_all(again))] == [key(2), key(3)]
    again.close()


def test_a_batch_ends_where_the_stream_stands_and_an_empty_one_says_that_there_is_no_more(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    start = stream.point
    some_changes(bench)
    changes = take(stream, 5)
    assert stream.point.position >= changes[-1].position
    empty = stream.next_batch(0.01)
    assert (list(empty.changes), empty.end) == ([], stream.point)
    assert start.position < empty.end.position
    bench.insert(TABLE, {"_id": 9})
    (later,) = take(stream, 1)
    assert later.position > empty.end.position
    assert later.ts >= empty.end.ts >= start.ts, "a point's time is not after any change that follows"
    stream.close()


def test_the_source_says_how_far_it_is_itself(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    (change,) = take(stream, 1)
    assert eventually(lambda: stream.next_batch(0.05).source_ts) >= change.ts
    stream.close()


def test_a_stream_has_changes_of_its_schema_alone(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert_elsewhere(TABLE, {"_id": 1})
    bench.insert(TABLE, {"_id": 2})
    assert [change.key for change in decoded(bench, take(stream, 1))] == [key(2)]
    stream.close()


def test_all_changes_of_a_document_have_one_key_hash(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    for identity in (8.0, "8", 7, 7.5):
        bench.insert(TABLE, {"_id": identity})
    bench.update(TABLE, 8, v=1)
    bench.update(TABLE, "8", v=1)
    bench.delete(TABLE, 8)
    changes = take(stream, 7)
    hashes: dict[Key, set[int]] = {}
    for change, what in zip(changes, decoded(bench, changes), strict=True):
        hashes.setdefault(what.key, set()).add(change.key_hash)
    assert hashes == {of: {bench.source.key_hash(of)} for of in hashes}
    assert len(set.union(*hashes.values())) == 4
    assert {key(8), key(7), Key(KeyKind.STRING, "8")} < hashes.keys()
    stream.close()


def test_a_change_is_described_whole(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": "one", "greeting": "hello"})
    (change,) = take(stream, 1)
    said = bench.source.describe(change.raw)
    assert isinstance(orjson.loads(said), dict)
    assert all(f'"{text}"' in said for text in ("one", "greeting", "hello", "insert", change.position))
    stream.close()


def test_a_stream_that_the_source_ended_must_be_opened_again(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    assert len(take(stream, 1)) == 1
    bench.cut(stream)
    with pytest.raises(StreamInvalid):
        stream.next_batch(0.1)
    again = bench.source.open_stream(bench.schema, stream.point)
    bench.insert(TABLE, {"_id": 2})
    assert [change.key for change in decoded(bench, take(again, 1))] == [key(2)]
    again.close()
    again.close()


def test_changes_carry_the_document_but_for_deletes_and_updates(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    some_changes(bench)
    records = [change.record for change in decoded(bench, take(stream, 5))]
    assert records == [{"v": "one"}, {"v": "two"}, None, {"v": "due"}, None]
    stream.close()


def test_changes_say_when_they_were_committed(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    (change,) = decoded(bench, take(stream, 1))
    assert change.committed_ms == 0 or abs(change.committed_ms / 1000 - cluster_seconds(change.ts)) < 5
    stream.close()


def test_one_change_can_be_taken_out_of_a_payload(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    some_changes(bench)
    changes = take(stream, 5)
    payload = b"".join(change.raw for change in changes)
    for change in changes:
        raw = bench.source.extract(payload, change.position)
        assert raw == change.raw
        assert [decoded.position for decoded in bench.source.decode(raw)] == [change.position]
    stream.close()
