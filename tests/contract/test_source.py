"""The contract of sources: `warp.sources.base`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.contract.sources import PIECE, SourceBench
from tests.support.lookups import found as looked_up
from tests.support.wait import eventually
from warp.change import Change, Key, KeyKind, Operation, Record, RoutedChange, cluster_seconds
from warp.errors import StreamInvalid
from warp.sources.base import ChangeStream, Chunk, StoredJson, StoredRow, StreamPoint
from warp.values import Structured

TABLE = "orders"
EVERYTHING = Chunk(lower=None, upper=None)


def _read(stream: ChangeStream, number: int) -> list[RoutedChange]:
    """That many changes, or more if they came in one batch."""
    found: list[RoutedChange] = []

    def enough() -> bool:
        found.extend(stream.next_batch(0.2).changes)
        return len(found) >= number

    eventually(enough)
    return found


def _read_all(stream: ChangeStream) -> list[RoutedChange]:
    """What there is, to an empty batch."""
    found: list[RoutedChange] = []
    while batch := stream.next_batch(0.2).changes:
        found.extend(batch)
    return found


def _decoded(bench: SourceBench, changes: list[RoutedChange]) -> list[Change]:
    return bench.source.decode(b"".join(change.raw for change in changes))


def _some_changes(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1, "v": "one"})
    bench.insert(TABLE, {"_id": 2, "v": "two"})
    bench.update(TABLE, 1, v="uno")
    bench.replace(TABLE, {"_id": 2, "v": "due"})
    bench.delete(TABLE, 1)


def _key(number: int) -> Key:
    return Key(KeyKind.INT, str(number))


def _stored(record: Record) -> StoredRow:
    """A record as a destination would give it back."""
    return {name: StoredJson(value.text) if isinstance(value, Structured) else value for name, value in record.items()}


def test_tables_are_listed_by_name_with_estimates(bench: SourceBench) -> None:
    bench.insert("zebras", {"_id": 1})
    for number in range(4):
        bench.insert("ants", {"_id": number, "text": "x" * 100})
    tables = bench.source.tables(bench.schema)
    assert [(table.name, table.documents) for table in tables] == [("ants", 4), ("zebras", 1)]
    assert tables[0].size_bytes >= 400
    assert bench.source.tables("no_such_schema") == []


def test_a_stream_from_now_on_has_what_comes_after_and_nothing_from_before(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 0})
    stream = bench.source.open_stream(bench.schema, None)
    _some_changes(bench)
    changes = _decoded(bench, _read(stream, 5))
    assert [(change.operation, change.key) for change in changes] == [
        (Operation.INSERT, _key(1)),
        (Operation.INSERT, _key(2)),
        (Operation.UPDATE, _key(1)),
        (Operation.REPLACE, _key(2)),
        (Operation.DELETE, _key(1)),
    ]
    stream.close()


def test_positions_sort_in_stream_order_and_times_never_go_back(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    _some_changes(bench)
    with bench.transaction():
        bench.insert(TABLE, {"_id": 3})
        bench.update(TABLE, 3, v=1)
    changes = _read(stream, 7)
    assert all(earlier.position < later.position for earlier, later in pairwise(changes))
    assert all(change.position.isascii() for change in changes)
    assert all(earlier.ts <= later.ts for earlier, later in pairwise(changes))
    assert changes[-1].ts == changes[-2].ts, "a transaction commits at one time"
    stream.close()


def test_what_routing_says_is_what_decoding_says(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    _some_changes(bench)
    routed = _read(stream, 5)
    assert [(change.position, change.ts) for change in routed] == [
        (change.position, change.ts) for change in _decoded(bench, routed)
    ]
    assert {change.table for change in routed} == {TABLE}
    stream.close()


@pytest.mark.parametrize("seen", range(6))
def test_a_stream_goes_on_just_after_a_point(bench: SourceBench, seen: int) -> None:
    first = bench.source.open_stream(bench.schema, None)
    start = first.point
    _some_changes(bench)
    changes = _read(first, 5)
    last = changes[seen - 1]
    point = StreamPoint(position=last.position, ts=last.ts) if seen else start
    first.close()
    again = bench.source.open_stream(bench.schema, point)
    assert again.point == point
    assert [change.position for change in _read_all(again)] == [change.position for change in changes[seen:]]
    again.close()


def test_a_stream_goes_on_in_the_middle_of_a_transaction(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 0})
    with bench.transaction():
        for number in (1, 2, 3):
            bench.insert(TABLE, {"_id": number})
    changes = _read(stream, 4)
    stream.close()
    again = bench.source.open_stream(bench.schema, StreamPoint(position=changes[1].position, ts=changes[1].ts))
    assert [change.key for change in _decoded(bench, _read_all(again))] == [_key(2), _key(3)]
    again.close()


def test_a_batch_ends_where_the_stream_stands_and_an_empty_one_says_that_there_is_no_more(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    start = stream.point
    _some_changes(bench)
    changes = _read(stream, 5)
    assert stream.point.position >= changes[-1].position
    empty = stream.next_batch(0.01)
    assert (list(empty.changes), empty.end) == ([], stream.point)
    assert start.position < empty.end.position
    bench.insert(TABLE, {"_id": 9})
    (later,) = _read(stream, 1)
    assert later.position > empty.end.position
    assert later.ts >= empty.end.ts >= start.ts, "a point's time is not after any change that follows"
    stream.close()


def test_the_source_says_how_far_it_is_itself(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    (change,) = _read(stream, 1)
    assert eventually(lambda: stream.next_batch(0.05).source_ts) >= change.ts
    stream.close()


def test_a_stream_has_changes_of_its_schema_alone(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert_elsewhere(TABLE, {"_id": 1})
    bench.insert(TABLE, {"_id": 2})
    assert [change.key for change in _decoded(bench, _read(stream, 1))] == [_key(2)]
    stream.close()


def test_all_changes_of_a_document_have_one_key_hash(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    for identity in (8.0, "8", 7):
        bench.insert(TABLE, {"_id": identity})
    bench.update(TABLE, 8, v=1)
    bench.update(TABLE, "8", v=1)
    bench.delete(TABLE, 8)
    changes = _read(stream, 6)
    hashes: dict[Key, set[int]] = {}
    for change, decoded in zip(changes, _decoded(bench, changes), strict=True):
        hashes.setdefault(decoded.key, set()).add(change.key_hash)
    assert [len(found) for found in hashes.values()] == [1, 1, 1]
    assert len(set.union(*hashes.values())) == 3
    assert hashes.keys() == {_key(8), _key(7), Key(KeyKind.STRING, "8")}
    stream.close()


def test_an_event_that_changes_no_document_is_a_notice(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1})
    stream = bench.source.open_stream(bench.schema, None)
    bench.drop(TABLE)
    notices: list[str] = []

    def noticed() -> bool:
        batch = stream.next_batch(0.2)
        assert not batch.changes
        notices.extend(batch.notices)
        return bool(notices)

    eventually(noticed)
    assert notices == [f"drop {TABLE}"]
    stream.close()


def test_a_stream_that_the_source_ended_must_be_opened_again(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    assert len(_read(stream, 1)) == 1
    bench.cut(stream)
    with pytest.raises(StreamInvalid):
        stream.next_batch(0.1)
    again = bench.source.open_stream(bench.schema, stream.point)
    bench.insert(TABLE, {"_id": 2})
    assert [change.key for change in _decoded(bench, _read(again, 1))] == [_key(2)]
    again.close()
    again.close()


def test_changes_carry_the_document_but_for_deletes_and_updates(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    _some_changes(bench)
    records = [change.record for change in _decoded(bench, _read(stream, 5))]
    assert records == [{"v": "one"}, {"v": "two"}, None, {"v": "due"}, None]
    stream.close()


def test_changes_say_when_they_were_committed(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    (change,) = _decoded(bench, _read(stream, 1))
    assert change.committed_ms == 0 or abs(change.committed_ms / 1000 - cluster_seconds(change.ts)) < 5
    stream.close()


def test_one_change_can_be_taken_out_of_a_payload(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    _some_changes(bench)
    changes = _read(stream, 5)
    payload = b"".join(change.raw for change in changes)
    for change in changes:
        raw = bench.source.extract(payload, change.position)
        assert raw == change.raw
        assert [decoded.position for decoded in bench.source.decode(raw)] == [change.position]
    stream.close()


def test_a_lookup_shows_documents_as_they_were_at_one_time(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1, "v": "one"})
    bench.insert(TABLE, {"_id": "two", "v": "two"})
    after = bench.source.now()
    two = Key(KeyKind.STRING, "two")
    ts, found = looked_up(bench.source.lookup(bench.schema, TABLE, [_key(1), two, _key(3)], after))
    assert ts >= after
    assert found == {_key(1): {"v": "one"}, two: {"v": "two"}}
    stream = bench.source.open_stream(bench.schema, None)
    bench.update(TABLE, 1, v="uno")
    (change,) = _read(stream, 1)
    assert change.ts > ts, "a change that a lookup did not see is later than the lookup's time"
    ts, found = looked_up(bench.source.lookup(bench.schema, TABLE, [_key(1)], change.ts))
    assert (found[_key(1)], ts >= change.ts) == ({"v": "uno"}, True)
    stream.close()


def test_a_lookup_in_a_table_that_does_not_exist_finds_nothing(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1})
    _, found = looked_up(bench.source.lookup(bench.schema, "nothing", [_key(1)], bench.source.now()))
    assert found == {}


@pytest.mark.parametrize("size", [1, 3, 100])
def test_ranges_hold_every_key_once(bench: SourceBench, size: int) -> None:
    identities: list[Any] = [*range(7), 7.5, "a", "b", "c"]
    for identity in identities:
        bench.insert(TABLE, {"_id": identity})
    chunks = list(bench.source.split(bench.schema, TABLE, size))
    assert (chunks[0].lower, chunks[-1].upper) == (None, None)
    assert all(one.upper == next_one.lower is not None for one, next_one in pairwise(chunks))
    found = [_keys_of(bench, chunk) for chunk in chunks]
    assert max(map(len, found)) <= size
    assert len(chunks) == -(-len(identities) // size)
    assert len({key for keys in found for key in keys}) == sum(map(len, found)) == len(identities)


def test_a_table_without_documents_is_one_range(bench: SourceBench) -> None:
    assert list(bench.source.split(bench.schema, TABLE, 10)) == [EVERYTHING]
    assert _keys_of(bench, EVERYTHING) == []


def _keys_of(bench: SourceBench, chunk: Chunk) -> list[Key]:
    pieces = bench.source.read(bench.schema, TABLE, chunk, bench.source.now())
    return [key for piece in pieces for key, _ in piece.documents]


def test_pieces_are_bounded_in_order_and_can_be_gone_on_with(bench: SourceBench) -> None:
    for number in range(10):
        bench.insert(TABLE, {"_id": number, "v": str(number)})
    pieces = list(bench.source.read(bench.schema, TABLE, EVERYTHING, bench.source.now()))
    assert all(0 < len(piece.documents) <= PIECE for piece in pieces)
    assert [key for piece in pieces for key, _ in piece.documents] == [_key(number) for number in range(10)]
    assert pieces[0].documents[0][1] == {"v": "0"}
    rest = _keys_of(bench, Chunk(lower=pieces[1].rest, upper=None))
    left = [key for piece in pieces[2:] for key, _ in piece.documents]
    assert rest[-len(left) :] == left
    assert len(rest) <= len(left) + 1, "at most the last document comes again"


def test_pieces_are_all_of_one_time(bench: SourceBench) -> None:
    for number in range(8):
        bench.insert(TABLE, {"_id": number, "v": "old"})
    after = bench.source.now()
    pieces = bench.source.read(bench.schema, TABLE, EVERYTHING, after)
    first = next(pieces)
    stream = bench.source.open_stream(bench.schema, None)
    bench.update(TABLE, 7, v="new")
    bench.insert(TABLE, {"_id": 8})
    bench.delete(TABLE, 6)
    change = _read(stream, 3)[0]
    rest = list(pieces)
    assert after <= first.ts < change.ts
    assert {piece.ts for piece in rest} == {first.ts}
    documents = [document for piece in (first, *rest) for document in piece.documents]
    assert documents == [(_key(number), {"v": "old"}) for number in range(8)]
    stream.close()


def test_a_scan_and_a_fetch_have_the_same_documents_as_a_reading(bench: SourceBench) -> None:
    for number in range(7):
        bench.insert(TABLE, {"_id": number, "v": number, "list": [number]})
    scanned = [item for items in bench.source.scan(bench.schema, TABLE, EVERYTHING) for item in items]
    assert [key for key, _ in scanned] == _keys_of(bench, EVERYTHING)
    fetched = bench.source.fetch(bench.schema, TABLE, [_key(2), _key(99)])
    assert fetched == {_key(2): dict(scanned)[_key(2)]}
    _, records = looked_up(bench.source.lookup(bench.schema, TABLE, [key for key, _ in scanned], bench.source.now()))
    for key, document in scanned:
        assert bench.source.differences(document, key, _stored(records[key])) == ()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda row: row | {"number": 9}, {"number"}),
        (lambda row: row | {"flag": 1}, {"flag"}),
        (lambda row: row | {"list": StoredJson("[1,3]")}, {"list"}),
        (lambda row: row | {"new": "one"}, {"new"}),
        (lambda row: {name: row[name] for name in row if name != "text"}, {"text"}),
        (lambda row: row | {"number": 8.0}, set()),
        (lambda row: row | {"number": StoredJson('{"$numberLong":"8"}')}, set()),
        (lambda row: dict(reversed(row.items())), set()),
    ],
)
def test_differences_are_named_by_field(
    bench: SourceBench, change: Callable[[StoredRow], StoredRow], names: set[str]
) -> None:
    bench.insert(TABLE, {"_id": 1, "number": 8, "flag": True, "text": "x", "list": [1, 2], "nothing": None})
    document = bench.source.fetch(bench.schema, TABLE, [_key(1)])[_key(1)]
    row: StoredRow = {
        "number": 8,
        "flag": True,
        "text": "x",
        "list": StoredJson("[1, 2]"),
        "nothing": StoredJson("null"),
    }
    assert bench.source.differences(document, _key(1), row) == ()
    assert set(bench.source.differences(document, _key(1), change(row))) == names


def test_reads_after_now_see_everything_written_before(bench: SourceBench) -> None:
    for number in range(5):
        bench.insert(TABLE, {"_id": number})
        now = bench.source.now()
        _, found = looked_up(bench.source.lookup(bench.schema, TABLE, [_key(number)], now))
        assert list(found) == [_key(number)]


def test_headroom_is_in_seconds_or_not_known(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1})
    headroom = bench.source.headroom_seconds(bench.source.now())
    assert headroom is None or headroom > 0


def test_closing_twice_is_harmless(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    stream.close()
    stream.close()
    bench.source.close()
    bench.source.close()
