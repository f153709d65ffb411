"""What the tests of BSON's types have in common: values of all types arrive together, once by each way.

Each class has a field of its own, whose first value decides the column, and another in which each value lies inside of
an object. The documents are written as bytes: no driver bends them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from struct import pack
from typing import Any, ClassVar

import psycopg
from bson.raw_bson import RawBSONDocument
from psycopg import sql
from pymongo.database import Database

from tests.support import raw_documents
from tests.support.pipeline import Pipeline
from tests.unit.raw_bson import document
from warp.change import Key, KeyKind, TableRef

Raw = tuple[int, bytes]
WAYS = ("insert", "update", "load")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value, and what PostgreSQL has of it: the text of its column (of `jsonb`: JSON), or else JSON in `_extra`."""

    raw: Raw
    column: str | None = None
    extra: str | None = None
    inside: str
    """The JSON of an object's field."""
    exact: bool = False
    """Whether an object that has it inside is in `_extra`, as canonical Extended JSON, and not in its column."""


def fits(raw: Raw, column: str, inside: str | None = None, *, exact: bool = False) -> Value:
    """A value that its column holds; `inside` is as text in a column unless it is said."""
    return Value(raw=raw, column=column, inside=column if inside is None else inside, exact=exact)


def kept(raw: Raw, extra: str, inside: str | None = None, *, exact: bool = False) -> Value:
    """A value that `_extra` holds; `inside` is as there unless it is said."""
    return Value(raw=raw, extra=extra, inside=extra if inside is None else inside, exact=exact)


def binary(subtype: int, data: bytes) -> Raw:
    """A binary value."""
    return 0x05, pack("<i", len(data)) + bytes([subtype]) + data


def shown_binary(subtype: int, data: bytes) -> str:
    """Its Extended JSON."""
    return json.dumps({"$binary": {"base64": base64.b64encode(data).decode(), "subType": f"{subtype:02x}"}})


class BsonType:
    """One type's values. Subclasses are the tests of their types."""

    NAME: ClassVar[str]
    COLUMN: ClassVar[str | None] = None
    """The type of the column; None: there is none."""
    VALUES: ClassVar[Sequence[Value]]

    def test_is_in_its_column_or_exact_in_extra(self, way: str, arrived: Arrived) -> None:
        assert arrived.types[way].get(self.NAME) == self.COLUMN
        for number, value in enumerate(self.VALUES):
            row = arrived.rows[way][number]
            stored = row.get(self.NAME)
            if self.COLUMN == "jsonb" and stored is not None and value.column is not None:
                assert json.loads(stored) == json.loads(value.column), value
            else:
                assert stored == value.column, value
            assert _extra(row, self.NAME) == (None if value.extra is None else _compact(json.loads(value.extra))), value

    def test_inside_of_an_object_it_is_relaxed_extended_json_or_the_object_exact_in_extra(
        self, way: str, arrived: Arrived
    ) -> None:
        name = inside(self.NAME)
        for number, value in enumerate(self.VALUES):
            row = arrived.rows[way][number]
            expected = json.loads(f'{{"v": {value.inside}}}')
            assert json.loads(row[name] or "null") == (None if value.exact else expected), value
            assert _extra(row, name) == (_compact(expected) if value.exact else None), value

    def test_is_rebuilt(self, way: str, arrived: Arrived) -> None:
        different = set().union(*arrived.differences[way])
        assert not different & {self.NAME, inside(self.NAME)}

    def test_is_not_what_another_one_is(self, way: str, arrived: Arrived) -> None:
        rows = arrived.rows[way][: len(self.VALUES)]
        assert len({(row.get(self.NAME), _extra(row, self.NAME)) for row in rows}) == len(self.VALUES)


def inside(name: str) -> str:
    """The field of objects with one value each of another field."""
    return f"{name} inside"


def _extra(row: dict[str, str | None], name: str) -> str | None:
    held = json.loads(row["_extra"] or "{}")
    return _compact(held[name]) if name in held else None


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


class Arrived:
    """Documents with a value of every type, in a table for each way by which they came."""

    def __init__(self, pipeline: Pipeline, database: Database[dict[str, Any]], dsn: str) -> None:
        documents = list(_documents())
        for way in ("load", "insert", "update"):
            _ARRIVALS[way](pipeline, database, documents)
        self.types: dict[str, dict[str, str]] = {}
        """The types of the columns."""
        self.rows: dict[str, list[dict[str, str | None]]] = {}
        """All columns of all rows as text, in order of the documents."""
        self.differences: dict[str, list[tuple[str, ...]]] = {}
        """Between each document and what is rebuilt from its row."""
        keys = [Key(KeyKind.INT, str(number)) for number in range(len(documents))]
        with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
            for way in WAYS:
                self.types[way], self.rows[way] = _read(connection, TableRef(database.name, way))
                self.differences[way] = list(_compare(pipeline, TableRef(database.name, way), keys))


def _documents() -> Iterator[list[tuple[bytes, Raw]]]:
    """The elements of each document but its key."""
    kinds = BsonType.__subclasses__()
    for values in zip_longest(*(kind.VALUES for kind in kinds)):
        yield [
            element
            for kind, value in zip(kinds, values, strict=True)
            if value is not None
            for element in (
                (kind.NAME.encode(), value.raw),
                (inside(kind.NAME).encode(), (0x03, document([(b"v", value.raw)]))),
            )
        ]


Documents = Sequence[list[tuple[bytes, Raw]]]


def _key(number: int) -> tuple[bytes, Raw]:
    return b"_id", (0x10, pack("<i", number))


def _inserted(database: Database[dict[str, Any]], table: str, documents: Documents) -> None:
    whole = [document([_key(number), *elements]) for number, elements in enumerate(documents)]
    assert raw_documents.insert(database, table, whole) == {}


def _load(pipeline: Pipeline, database: Database[dict[str, Any]], documents: Documents) -> None:
    _inserted(database, "load", documents)
    pipeline.load("load")


def _insert(pipeline: Pipeline, database: Database[dict[str, Any]], documents: Documents) -> None:
    _inserted(database, "insert", documents)
    pipeline.follow("insert", len(documents))


def _update(pipeline: Pipeline, database: Database[dict[str, Any]], documents: Documents) -> None:
    """Rows that are there get the values, by updates that do not carry them."""
    _inserted(database, "update", [[] for _ in documents])
    pipeline.follow("update", len(documents))
    updates = [
        {
            "q": {"_id": number},
            "u": RawBSONDocument(document([(b"$set", (0x03, document(elements)))])),
        }
        for number, elements in enumerate(documents)
    ]
    assert database.command({"update": "update", "updates": updates})["nModified"] == len(documents)
    pipeline.follow("update", len(documents))


_ARRIVALS = {"load": _load, "insert": _insert, "update": _update}


def _read(connection: psycopg.Connection, ref: TableRef) -> tuple[dict[str, str], list[dict[str, str | None]]]:
    types: dict[str, str] = dict(
        connection.execute(
            "SELECT column_name::text, data_type::text FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s",
            [*ref],
        ).fetchall()
    )
    texts: list[sql.Composable] = [sql.SQL("{}::text").format(sql.Identifier(name)) for name in types]
    query = sql.SQL("SELECT {} FROM {} AS t ORDER BY t._id")
    rows = connection.execute(query.format(sql.Composed(texts).join(", "), sql.Identifier(*ref))).fetchall()
    return types, [dict(zip(types, row, strict=True)) for row in rows]


def _compare(pipeline: Pipeline, ref: TableRef, keys: Sequence[Key]) -> Iterator[tuple[str, ...]]:
    source, destination = pipeline.connections.source, pipeline.connections.destination
    rows = destination.rows(ref, keys)
    held = source.fetch(*ref, keys)
    for key in keys:
        yield source.differences(held[key], key, rows[key])
