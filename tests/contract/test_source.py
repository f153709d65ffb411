"""The contract of sources: tables, and reading their documents (`warp.sources.base`)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.contract.changes import TABLE, key, take
from tests.contract.sources import PIECE, SourceBench
from tests.support.lookups import found as looked_up
from warp.change import Key, KeyKind, Record
from warp.filters import FieldPatterns, field_filter
from warp.sources.base import Chunk, StoredJson, StoredRow
from warp.values import Structured

EVERYTHING = Chunk(lower=None, upper=None)


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
    assert bench.source.unmirrored(bench.schema) == {}


def test_a_lookup_shows_documents_as_they_were_at_one_time(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1, "v": "one"})
    bench.insert(TABLE, {"_id": "two", "v": "two"})
    after = bench.source.now()
    two = Key(KeyKind.STRING, "two")
    ts, found = looked_up(bench.source.lookup(bench.schema, TABLE, [key(1), two, key(3)], after))
    assert ts >= after
    assert found == {key(1): {"v": "one"}, two: {"v": "two"}}
    stream = bench.source.open_stream(bench.schema, None)
    bench.update(TABLE, 1, v="uno")
    (change,) = take(stream, 1)
    assert change.ts > ts, "a change that a lookup did not see is later than the lookup's time"
    ts, found = looked_up(bench.source.lookup(bench.schema, TABLE, [key(1)], change.ts))
    assert (found[key(1)], ts >= change.ts) == ({"v": "uno"}, True)
    stream.close()


def test_all_that_a_lookup_shows_is_of_one_time(bench: SourceBench) -> None:
    numbers = range(3 * PIECE)
    for number in numbers:
        bench.insert(TABLE, {"_id": number, "v": "old"})
    pieces = bench.source.lookup(bench.schema, TABLE, [key(number) for number in numbers], bench.source.now())
    first = next(pieces)
    for number in numbers:
        bench.update(TABLE, number, v="new")
    rest = list(pieces)
    assert {piece.ts for piece in rest} <= {first.ts}
    documents = [document for piece in (first, *rest) for document in piece.documents]
    assert dict(documents) == {key(number): {"v": "old"} for number in numbers}


def test_a_lookup_in_a_table_that_does_not_exist_finds_nothing(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1})
    _, found = looked_up(bench.source.lookup(bench.schema, "nothing", [key(1)], bench.source.now()))
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
    assert [key for piece in pieces for key, _ in piece.documents] == [key(number) for number in range(10)]
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
    change = take(stream, 3)[0]
    rest = list(pieces)
    assert after <= first.ts < change.ts
    assert {piece.ts for piece in rest} == {first.ts}
    documents = [document for piece in (first, *rest) for document in piece.documents]
    assert documents == [(key(number), {"v": "old"}) for number in range(8)]
    stream.close()


def test_a_scan_and_a_fetch_have_the_same_documents_as_a_reading(bench: SourceBench) -> None:
    for number in range(7):
        bench.insert(TABLE, {"_id": number, "v": number, "list": [number]})
    scanned = [item for items in bench.source.scan(bench.schema, TABLE, EVERYTHING) for item in items]
    assert [found for found, _ in scanned] == _keys_of(bench, EVERYTHING)
    fetched = bench.source.fetch(bench.schema, TABLE, [key(2), key(99)])
    assert fetched == {key(2): dict(scanned)[key(2)]}
    _, records = looked_up(
        bench.source.lookup(bench.schema, TABLE, [found for found, _ in scanned], bench.source.now())
    )
    for found, document in scanned:
        assert bench.source.differences(document, found, _stored(records[found])) == ()


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
    document = bench.source.fetch(bench.schema, TABLE, [key(1)])[key(1)]
    row: StoredRow = {
        "number": 8,
        "flag": True,
        "text": "x",
        "list": StoredJson("[1, 2]"),
        "nothing": StoredJson("null"),
    }
    assert bench.source.differences(document, key(1), row) == ()
    assert set(bench.source.differences(document, key(1), change(row))) == names


def test_reads_after_now_see_everything_written_before(bench: SourceBench) -> None:
    for number in range(5):
        bench.insert(TABLE, {"_id": number})
        now = bench.source.now()
        _, found = looked_up(bench.source.lookup(bench.schema, TABLE, [key(number)], now))
        assert list(found) == [key(number)]


def test_headroom_is_in_seconds_or_not_known(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1})
    headroom = bench.source.headroom_seconds(bench.source.now())
    assert headroom is None or headroom > 0


def test_closing_twice_is_harmless_and_a_closed_stream_leaves_its_source_open(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    stream.close()
    stream.close()
    bench.insert(TABLE, {"_id": 1})
    _, found = looked_up(bench.source.lookup(bench.schema, TABLE, [key(1)], bench.source.now()))
    assert list(found) == [key(1)]
    bench.source.close()
    bench.source.close()


def test_all_of_a_range_is_inspected_in_order_of_key_with_its_sizes(bench: SourceBench) -> None:
    for number in (3, 1, 4, 2, 5):
        bench.insert(TABLE, {"_id": number, "v": "x" * 100 * number, "w": number})
    found = [each for batch in bench.source.inspect(bench.schema, TABLE, EVERYTHING) for each in batch]
    assert [each.key for each in found] == [key(number) for number in range(1, 6)]
    assert [each.record["w"] for each in found] == [1, 2, 3, 4, 5]
    assert all(100 * number <= found[number - 1].size < 100 * number + 60 for number in range(1, 6))
    parts = [
        [each.key for batch in bench.source.inspect(bench.schema, TABLE, half) for each in batch]
        for half in bench.source.split(bench.schema, TABLE, 3)
    ]
    assert parts == [[key(1), key(2), key(3)], [key(4), key(5)]]


@pytest.mark.parametrize("number", [1, 7, 40, 1000])
def test_a_sample_has_so_many_documents_each_once(bench: SourceBench, number: int) -> None:
    for identity in range(40):
        bench.insert(TABLE, {"_id": identity, "v": identity})
    found = [each for batch in bench.source.inspect(bench.schema, TABLE, number) for each in batch]
    keys = [each.key for each in found]
    assert len(set(keys)) == len(keys) == min(number, 40)
    assert all(each.key.text == str(each.record["v"]) for each in found)


def test_what_is_inspected_is_of_the_tables_form(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1, "hidden": "x" * 1000, "v": 1})
    only = field_filter((FieldPatterns(exclude=("hidden",)),), "")
    for what in (EVERYTHING, 1):
        [[found]] = bench.source.inspect(bench.schema, TABLE, what, only)
        assert (found.record, found.size > 1000) == ({"v": 1}, True)


def test_of_a_table_that_does_not_exist_there_is_nothing_to_inspect(bench: SourceBench) -> None:
    for what in (EVERYTHING, 5):
        assert list(bench.source.inspect(bench.schema, "nowhere", what)) == []
