"""BSON bytes that no driver would write, on their whole way: real change stream, real first load, real PostgreSQL."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from tests.support import raw_documents
from tests.support.pipeline import Pipeline
from tests.support.properties import with_servers
from tests.unit import raw_bson
from tests.unit.raw_bson import document, string
from warp.change import Key, KeyKind, TableRef
from warp.sources.base import StoredRow
from warp.sources.mongodb.source import MongoSource
from warp.verify.compare import compare
from warp.verify.result import Verdict

Raw = tuple[int, bytes]
_tables = (f"table{number}" for number in count())


def _scoped(*elements: tuple[bytes, Raw]) -> Raw:
    code = string(b"f") + document(list(elements))
    return 0x0F, struct.pack("<i", len(code) + 4) + code


_ONE, _TWO, _NULL = (0x10, struct.pack("<i", 1)), (0x10, struct.pack("<i", 2)), (0x0A, b"")

DISTINCT: list[list[Raw]] = [
    [_NULL],
    [],
    [(0x06, b"")],
    [_ONE],
    [_TWO],
    [_ONE, _TWO],
    [_TWO, _ONE],
    [_ONE, _ONE],
    [_ONE, _NULL],
    [(0x04, document([(b"0", _ONE), (b"1", _TWO)]))],
    [(0x02, string(b"1"))],
    [(0x0D, string(b"1"))],
    [(0x0E, string(b"1"))],
    [_scoped()],
    [_scoped((b"a", _ONE))],
    [_scoped((b"a", _ONE), (b"a", _ONE))],
    [(0x03, document([]))],
    [(0x04, document([]))],
    [(0x03, document([(b"a", _ONE)]))],
    [(0x03, document([(b"a", _ONE), (b"a", _ONE)]))],
    [(0x03, document([(b"a", _ONE), (b"a", _TWO)]))],
    [(0x03, document([(b"a", _TWO), (b"a", _ONE)]))],
    [(0x03, document([(b"a", _TWO)]))],
    [(0x03, document([(b"a", (0x0E, string(b"1")))]))],
    [(0x03, document([(b"a", (0x02, string(b"1")))]))],
    [(0x03, document([(b"a", (0x06, b""))]))],
    [(0x03, document([(b"a", _NULL)]))],
    [(0x03, document([(b"$symbol", (0x02, string(b"1")))]))],
    [(0x03, document([(b"$undefined", (0x08, b"\1"))]))],
    [(0x03, document([(b"$repeated", (0x04, document([(b"0", _ONE), (b"1", _TWO)])))]))],
    [(0x0C, string(b"c") + bytes(12))],
    [(0x03, document([(b"$ref", (0x02, string(b"c"))), (b"$id", (0x07, bytes(12)))]))],
    [(0x03, document([(b"$ref", (0x02, string(b"c")))]))],
    [(0x0B, b"1\0im\0")],
    [(0x0B, b"1\0mi\0")],
    [(0x0B, b"1\0\0")],
    [(0x0B, b"1\0zq\0")],
    [(0x05, b"\1\0\0\0\0a")],
    [(0x05, b"\5\0\0\0\2\1\0\0\0a")],
    [(0x05, b"\5\0\0\0\0\1\0\0\0a")],
    [(0x05, b"\1\0\0\0\2a")],
    [(0x05, b"\1\0\0\0\5a")],
    [(0x05, struct.pack("<i", 16) + b"\3" + bytes(16))],
    [(0x05, struct.pack("<i", 16) + b"\4" + bytes(16))],
    [(0x02, string(b"\xff"))],
    [(0x02, string(b"\xef\xbf\xbd"))],
    [(0x02, string(b"a\0"))],
    [(0x01, struct.pack("<d", float("nan")))],
    [(0x01, struct.pack("<d", 0.0))],
    [(0x01, struct.pack("<d", -0.0))],
    [(0x09, struct.pack("<q", 1))],
    [(0x09, struct.pack("<q", 2**63 - 1))],
    [(0x11, struct.pack("<q", 1))],
    [(0x08, b"\1")],
    [(0x07, bytes(12))],
    [(0x02, string(b"0" * 24))],
    [(0x7F, b"")],
    [(0xFF, b"")],
]
"""Values of one field, none of which is another: none at all, one, or as often as the field stands in its document."""


def _key(number: int) -> Key:
    return Key(KeyKind.INT, str(number))


def _identity(number: int) -> Raw:
    return 0x12, struct.pack("<q", number)


def _rows(pipeline: Pipeline, table: str, keys: Sequence[Key]) -> dict[Key, StoredRow]:
    destination = pipeline.connections.destination
    return destination.rows(TableRef(pipeline.schema, table), keys)


def _arrive(pipeline: Pipeline, database: Database[dict[str, Any]], way: str, documents: Sequence[bytes]) -> None:
    """Write documents of the collection `values`, and bring them over."""
    if way == "load":
        assert raw_documents.insert(database, "values", documents) == {}
        pipeline.load("values")
    else:
        pipeline.tailer.tick()
        assert raw_documents.insert(database, "values", documents) == {}
        if way == "updates":  # whose documents are looked up
            database["values"].update_many({}, {"$set": {"touched": True}})
        pipeline.follow("values", len(documents) * (2 if way == "updates" else 1))


@pytest.mark.parametrize("way", ["stream", "updates", "load"])
def test_a_row_is_the_row_of_its_own_document_alone(
    way: str, pipeline: Pipeline, database: Database[dict[str, Any]], source: MongoSource
) -> None:
    documents = [
        document([(b"_id", _identity(number)), *((b"f", value) for value in values)])
        for number, values in enumerate(DISTINCT)
    ]
    _arrive(pipeline, database, way, documents)
    keys = [_key(number) for number in range(len(documents))]
    held = source.fetch(database.name, "values", keys)
    rows = _rows(pipeline, "values", keys)
    for key in keys:
        for other in keys:
            assert (source.differences(held[key], key, rows[other]) == ()) == (key == other), (key, other)


LEVELS = 178
"""With them, a document has the 180 levels that MongoDB takes."""


@pytest.mark.parametrize("way", ["stream", "load"])
@pytest.mark.parametrize("name", [b"a", b"$oid"])
def test_the_deepest_documents_arrive(
    way: str, name: bytes, pipeline: Pipeline, database: Database[dict[str, Any]], source: MongoSource
) -> None:
    documents = []
    for number, (scoped, twice) in enumerate([(False, False), (False, True), (True, False), (True, True)]):
        value = _NULL
        for _ in range(LEVELS // 2 if scoped else LEVELS):  # code and its scope count as two
            elements = [(name, value)] + [(name, _ONE)] * twice
            value = _scoped(*elements) if scoped else (0x03, document(elements))
        documents.append(document([(b"_id", _identity(number)), (b"f", value)]))
    _arrive(pipeline, database, way, documents)
    keys = [_key(number) for number in range(len(documents))]
    held = source.fetch(database.name, "values", keys)
    rows = _rows(pipeline, "values", keys)
    assert rows.keys() == set(keys)
    for key, row in rows.items():
        assert compare(source, key, held[key], row) is Verdict.SAME
        assert compare(source, key, {**held[key], "f": None}, row) is not Verdict.SAME  # type: ignore[dict-item]


_FIELDS = st.lists(st.tuples(raw_bson.NAMES, raw_bson.VALUES), max_size=5)


@with_servers(8)
@given(st.lists(_FIELDS, min_size=1, max_size=25))
def test_whatever_mongodb_holds_arrives_and_a_change_of_it_is_seen(
    pipeline: Pipeline,
    database: Database[dict[str, Any]],
    source: MongoSource,
    documents: list[list[tuple[bytes, Raw]]],
) -> None:
    """First by the change stream; then the collection is renamed, so that it is loaded under another name."""
    table, renamed = next(_tables), next(_tables)
    pipeline.tailer.tick()
    written = [document([(b"_id", _identity(number)), *fields]) for number, fields in enumerate(documents)]
    refused = raw_documents.insert(database, table, written)
    keys = [_key(number) for number in range(len(written)) if number not in refused]
    if not keys:
        return
    pipeline.follow(table, len(keys))
    _check(source, pipeline, table, keys)
    database[table].rename(renamed)
    pipeline.load(renamed)
    _check(source, pipeline, renamed, keys)


def _check(source: MongoSource, pipeline: Pipeline, table: str, keys: Sequence[Key]) -> None:
    held = source.fetch(pipeline.schema, table, keys)
    rows = _rows(pipeline, table, keys)
    assert held.keys() == rows.keys() == set(keys)
    for key, row in rows.items():
        read = held[key]
        assert isinstance(read, dict)
        assert source.differences(read, key, row) == ()
        assert source.differences({**read, "another": Int64(1)}, key, row) == ("another",)
        for name in read.keys() - {"_id"}:
            assert source.differences({**read, name: [read[name]]}, key, row) == (name,)
            assert source.differences({other: read[other] for other in read if other != name}, key, row) == (name,)
