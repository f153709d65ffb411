"""Keys that are UUIDs: a column of PostgreSQL's own type, and text as soon as a key of another kind comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from bson import Binary, UuidRepresentation
from pymongo.database import Database

from tests.integration.tables import TABLE, columns, fitted, open_snapshot
from tests.support.pipeline import Pipeline
from warp.change import BEGINNING, Delete, Key, KeyKind, Operation, TableRef, Write
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Poison
from warp.evolution.infer import Seen
from warp.evolution.rules import Layout, Rules
from warp.evolution.shape import Shape
from warp.metadata.base import DeadLetter, LetterState
from warp.metadata.migrate import migrations
from warp.sources.base import Chunk
from warp.verify import verify_schema

TEXTS = ("00010203-0405-0607-0809-0a0b0c0d0e0f", "ffffffff-ffff-4fff-bfff-fffffffffffe")
FIRST, SECOND = (Key(KeyKind.UUID, text) for text in TEXTS)
AS_JSON = '{"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"04"}}'
OTHERS = (
    Key(KeyKind.STRING, TEXTS[0]),
    Key(KeyKind.STRING, AS_JSON),
    Key(KeyKind.STRING, ""),
    Key(KeyKind.INT, "8"),
    Key(KeyKind.OBJECT_ID, "0" * 24),
    Key(KeyKind.JSON, "null"),
    Key(KeyKind.JSON, AS_JSON.replace("04", "03")),
)


@pytest.fixture
def shape(destination: PostgresDestination) -> Shape:
    """A table of UUIDs that is being loaded."""
    open_snapshot(destination, Chunk(lower=None, upper=None))
    return fitted(destination, {"n": 1}, keys=(FIRST,))


def upsert(destination: PostgresDestination, shape: Shape, ts: int, *keys: Key) -> int:
    with destination.transaction() as transaction:
        return transaction.upsert(TABLE, shape, [Write(key, ts, {"n": ts}) for key in keys]).upserted


def delete(destination: PostgresDestination, shape: Shape, ts: int, *keys: Key, soft: bool = False) -> int:
    with destination.transaction() as transaction:
        gone = [Delete(key, ts) for key in keys]
        return transaction.delete(TABLE, shape, gone, soft=soft, tombstones=True).deleted


def load(destination: PostgresDestination, shape: Shape, ts: int, *keys: Key) -> int:
    with destination.transaction() as transaction:
        return transaction.load(TABLE, shape, [Write(key, ts, {"n": ts}) for key in keys]).upserted


def cells(postgresql: psycopg.Connection, ref: TableRef = TABLE) -> Iterator[str]:
    yield from (cell for (cell,) in postgresql.execute(f'SELECT _id::text FROM "{ref.schema}"."{ref.table}"'.encode()))


def test_a_column_of_uuids(destination: PostgresDestination, postgresql: psycopg.Connection, shape: Shape) -> None:
    assert columns(postgresql)["_id"] == "uuid"
    assert upsert(destination, shape, 2, FIRST, SECOND) == 2
    assert upsert(destination, shape, 1, FIRST) == 0
    assert postgresql.execute('SELECT _id FROM "shop"."orders" WHERE n = 2 ORDER BY 1').fetchall() == [
        (UUID(text),) for text in TEXTS
    ]
    assert delete(destination, shape, 3, FIRST) == 1
    assert load(destination, shape, 3, FIRST, SECOND) == 1, "of the one, a tombstone says that it is gone"
    assert destination.rows(TABLE, [FIRST, SECOND]) == {SECOND: {"n": 3}}
    assert [key for batch in destination.keys(TABLE) for key in batch] == [SECOND]


def test_a_uuid_that_is_deleted_softly(destination: PostgresDestination, shape: Shape) -> None:
    seen = Seen(key_kinds={KeyKind.UUID})
    shape = destination.evolve(TABLE, seen, Rules(soft_delete=True), cause="configured").after
    upsert(destination, shape, 1, FIRST, SECOND)
    assert delete(destination, shape, 2, FIRST, soft=True) == 1
    assert destination.rows(TABLE, [FIRST, SECOND]).keys() == {SECOND}


def test_keys_of_other_kinds_have_no_row_in_a_column_of_uuids(destination: PostgresDestination, shape: Shape) -> None:
    upsert(destination, shape, 1, FIRST)
    assert destination.rows(TABLE, [*OTHERS, FIRST]) == {FIRST: {"n": 1}}
    assert destination.rows(TABLE, OTHERS) == {}


def test_among_keys_of_other_kinds_uuids_stay_as_they_are(
    destination: PostgresDestination, postgresql: psycopg.Connection, shape: Shape
) -> None:
    upsert(destination, shape, 1, FIRST)
    delete(destination, shape, 1, SECOND)
    mixed = fitted(destination, {"n": 1}, keys=OTHERS)
    assert columns(postgresql)["_id"] == "text"
    assert set(cells(postgresql)) == {TEXTS[0]}
    assert upsert(destination, mixed, 2, *OTHERS) == len(OTHERS)
    assert upsert(destination, mixed, 2, FIRST) == 1
    assert load(destination, mixed, 1, SECOND) == 0, "its tombstone is from before"
    keys = {FIRST, *OTHERS}
    assert {key for batch in destination.keys(TABLE) for key in batch} == keys
    assert destination.rows(TABLE, [*keys]) == {key: {"n": 2} for key in keys}
    assert len(set(cells(postgresql))) == len(keys)
    assert delete(destination, mixed, 3, *keys) == len(keys)


def test_a_column_of_uuids_that_a_view_rests_on_stays_and_other_keys_never_reach_it(
    destination: PostgresDestination, postgresql: psycopg.Connection, shape: Shape
) -> None:
    upsert(destination, shape, 1, FIRST)
    postgresql.execute('CREATE VIEW "shop"."ids" AS SELECT _id FROM "shop"."orders"')
    same = fitted(destination, {"n": 1}, keys=OTHERS)
    assert columns(postgresql)["_id"] == "uuid"
    with pytest.raises(Poison):
        upsert(destination, same, 2, *OTHERS)
    assert delete(destination, same, 2, *OTHERS) == 0
    assert delete(destination, same, 2, *OTHERS, FIRST) == 1


@pytest.mark.parametrize("first", OTHERS, ids=lambda key: f"{key.kind}-{key.text}")
def test_in_a_table_of_another_kind_a_uuid_is_json(
    first: Key, destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    fitted(destination, {"n": 1}, keys=(first,))
    shape = fitted(destination, {"n": 1}, keys=(FIRST,))
    assert upsert(destination, shape, 1, first, FIRST) == 2
    assert AS_JSON in set(cells(postgresql))
    assert destination.rows(TABLE, [first, FIRST]).keys() == {first, FIRST}
    assert {key for batch in destination.keys(TABLE) for key in batch} == {first, FIRST}


def test_rows_from_before_uuids_were_a_kind_are_found(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    shape = fitted(destination, {"n": 1}, keys=(Key(KeyKind.JSON, AS_JSON),))
    postgresql.execute('INSERT INTO "shop"."orders" (_id, _warp_ts, n) VALUES (%s, 1, 1)', [AS_JSON])
    assert destination.rows(TABLE, [FIRST]) == {FIRST: {"n": 1}}
    assert [key for batch in destination.keys(TABLE) for key in batch] == [FIRST]
    assert upsert(destination, shape, 2, FIRST) == 1
    assert list(cells(postgresql)) == [AS_JSON]
    assert delete(destination, shape, 3, FIRST) == 1


def test_letters_from_before_uuids_were_a_kind_are_of_their_documents(
    destination: PostgresDestination, postgresql: psycopg.Connection, shape: Shape
) -> None:
    keys = (Key(KeyKind.JSON, AS_JSON), *OTHERS)
    with destination.transaction() as transaction:
        transaction.park(
            [
                DeadLetter(
                    ref=TABLE,
                    key=key,
                    operation=Operation.INSERT,
                    position=BEGINNING,
                    ts=1,
                    payload=b"",
                    error_class="Poison",
                    error="refused",
                    traceback="",
                    correlation_id="cid",
                )
                for key in keys
            ]
        )
    [migration] = [each for each in migrations() if each.name == "uuid_keys"]
    for _ in range(2):
        postgresql.execute("SET search_path TO cartridge_warp")
        postgresql.execute(migration.text.encode())
        postgresql.execute("RESET search_path")
    assert {(held["kind"], held["text"]) for held, _ in _letters(postgresql)} == {FIRST, *OTHERS}
    with destination.transaction() as transaction:
        assert transaction.upsert(TABLE, shape, [Write(FIRST, 2, {"n": 1})]).superseded == 1
    superseded = [held for held, state in _letters(postgresql) if state == LetterState.SUPERSEDED]
    assert superseded == [{"kind": "uuid", "text": TEXTS[0]}]


def _letters(postgresql: psycopg.Connection) -> list[tuple[dict[str, str], str]]:
    """The key as it is held, and the state, of each letter."""
    return postgresql.execute("SELECT key, state FROM cartridge_warp.dead_letters").fetchall()


@pytest.mark.parametrize("layout", [Layout.COLUMNS, Layout.HISTORY])
def test_uuids_on_their_whole_way(
    layout: Layout, pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.settings = replace(pipeline.settings, layout=layout)
    first, second = (Binary.from_uuid(UUID(text), UuidRepresentation.STANDARD) for text in TEXTS)
    uuids, numbers = TableRef(database.name, "uuids"), TableRef(database.name, "numbers")
    database["uuids"].insert_one({"_id": first, "n": 1})
    pipeline.load("uuids")
    assert columns(postgresql, uuids)["_id"] == "uuid"
    database["uuids"].insert_one({"_id": second, "n": 1})
    database["uuids"].update_many({}, {"$set": {"n": 2}})
    pipeline.follow("uuids", 3)
    _verify(pipeline, uuids=2)
    database["uuids"].insert_many([{"_id": TEXTS[0]}, {"_id": 8}, {"_id": None}])
    _verify(pipeline, missing=3)  # what is not there yet is asked for in a column of uuids
    pipeline.follow("uuids", 3)
    assert set(cells(postgresql, uuids)) == {*TEXTS, f'"{TEXTS[0]}"', '{"$numberLong":"8"}', "null"}
    database["numbers"].insert_one({"_id": 8})
    pipeline.follow("numbers", 1)
    database["numbers"].insert_one({"_id": first})
    pipeline.follow("numbers", 1)
    assert set(cells(postgresql, numbers)) == {"8", AS_JSON}
    _verify(pipeline, uuids=5, numbers=2)
    database["uuids"].delete_many({})
    pipeline.follow("uuids", 5)
    database["numbers"].delete_one({"_id": first})
    pipeline.follow("numbers", 1)
    _verify(pipeline, uuids=0, numbers=1)


def _verify(pipeline: Pipeline, missing: int = 0, **rows: int) -> None:
    source, destination = pipeline.connections.source, pipeline.connections.destination
    fields = pipeline.settings.fields
    results = verify_schema(source, destination, pipeline.schema, patience=0, fields=lambda _: fields)
    if missing:
        assert [(result.missing, result.error) for result in results] == [(missing, None)]
        return
    assert all(result.identical for result in results), results
    assert {result.table: (result.source_documents, result.target_rows) for result in results} == {
        table: (number, number) for table, number in rows.items()
    }
