"""Reading documents of a real replica set: ranges across BSON types, lookups, and how late they are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from pymongo import MongoClient, monitoring
from pymongo.database import Database

from tests.support.lookups import found as looked_up
from tests.support.wait import eventually
from warp.change import TS_COUNTER_BITS, Key, KeyKind
from warp.errors import Fatal
from warp.sources.base import Chunk
from warp.sources.mongodb import source as mongodb_source
from warp.sources.mongodb.codec import key_of
from warp.sources.mongodb.source import MongoSource, open_source

KEYS: list[Any] = [
    MinKey(),
    None,
    *range(-20, 20),
    *(Int64(2**40 + number) for number in range(10)),
    *(number + 0.5 for number in range(10)),
    Decimal128("1E+30"),
    float("inf"),
    *(f"key {number}" for number in range(20)),
    "",
    *({"shop": number, "day": "2020-01-01"} for number in range(10)),
    {},
    Binary(b"\x00\x01", 0),
    Binary(bytes(range(16)), 4),
    *(ObjectId(number.to_bytes(12)) for number in range(20)),
    False,
    True,
    datetime(1960, 1, 1),
    datetime(2020, 1, 1, 0, 0, 0, 5000),
    Timestamp(5, 1),
    MaxKey(),
]
EVERYTHING = Chunk(lower=None, upper=None)


@pytest.fixture
def mixed(database: Database[dict[str, Any]]) -> str:
    """A collection with keys of every type there is."""
    database["mixed"].insert_many([{"_id": key, "at": number} for number, key in enumerate(KEYS)])
    return "mixed"


def test_ranges_cover_every_key_of_every_type_once(
    source: MongoSource, database: Database[dict[str, Any]], mixed: str
) -> None:
    chunks = list(source.split(database.name, mixed, 7))
    assert len(chunks) == -(-len(KEYS) // 7)
    assert (chunks[0].lower, chunks[-1].upper) == (None, None)
    assert [chunk.upper for chunk in chunks[:-1]] == [chunk.lower for chunk in chunks[1:]]
    ts = source.now()
    found = Counter(
        key for chunk in chunks for piece in source.read(database.name, mixed, chunk, ts) for key, _ in piece.documents
    )
    assert found == Counter(map(key_of, KEYS))


def test_documents_that_came_after_the_split_are_in_some_range(
    source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    database["growing"].insert_many([{"_id": f"{number:03}"} for number in range(20)])
    chunks = list(source.split(database.name, "growing", 5))
    late: list[Any] = [MinKey(), -1, "", "0071", "zzz", ObjectId(), MaxKey()]
    database["growing"].insert_many([{"_id": key} for key in late])
    found = {
        key
        for chunk in chunks
        for piece in source.read(database.name, "growing", chunk, source.now())
        for key, _ in piece.documents
    }
    assert found >= set(map(key_of, late))
    assert len(found) == 20 + len(late)


@pytest.mark.parametrize("exists", [True, False])
def test_a_collection_without_documents_is_one_range(
    exists: bool, source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    if exists:
        database.create_collection("empty")
    assert list(source.split(database.name, "empty", 5)) == [EVERYTHING]
    assert list(source.read(database.name, "empty", EVERYTHING, source.now())) == []


def test_what_is_left_of_a_range_is_read_from_the_rest_on(
    source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    database["many"].insert_many([{"_id": number} for number in range(12_000)])
    pieces = list(source.read(database.name, "many", EVERYTHING, source.now()))
    assert len(pieces) > 1
    first = {key for key, _ in pieces[0].documents}
    rest = Chunk(lower=pieces[0].rest, upper=None)
    left = {key for piece in source.read(database.name, "many", rest, source.now()) for key, _ in piece.documents}
    assert first | left == {Key(KeyKind.INT, str(number)) for number in range(12_000)}
    assert len(first & left) <= 1


def test_lookups_find_documents_by_keys_of_every_type(
    source: MongoSource, database: Database[dict[str, Any]], mixed: str
) -> None:
    missing = Key(KeyKind.STRING, "nobody")
    _, found = looked_up(source.lookup(database.name, mixed, [*map(key_of, KEYS), missing], source.now()))
    assert found == {key_of(key): {"at": number} for number, key in enumerate(KEYS)}
    [chunk] = source.scan(database.name, mixed, EVERYTHING)
    assert dict(chunk) == source.fetch(database.name, mixed, list(map(key_of, KEYS)))


def test_a_lookup_by_a_key_that_mongodb_holds_equal(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    database["keys"].insert_many([{"_id": 8.0, "n": 1}, {"_id": {"a": Int64(3)}, "n": 2}])
    keys = [key_of(Int64(8)), key_of({"a": 3.0})]
    _, found = looked_up(source.lookup(database.name, "keys", keys, source.now()))
    assert found == {keys[0]: {"n": 1}, keys[1]: {"n": 2}}


class _Sent(monitoring.CommandListener):
    def __init__(self) -> None:
        self.finds: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.finds.append(dict(event.command))

    def succeeded(self, _: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, _: monitoring.CommandFailedEvent) -> None: ...


def test_reads_are_snapshots_causally_after_a_time(mongo_uri: str, database: Database[dict[str, Any]]) -> None:
    """MongoDB manual, "Read Concern snapshot": majority-committed, and with `afterClusterTime` not before that time."""
    sent = _Sent()
    source = MongoSource(MongoClient(mongo_uri, event_listeners=[sent]), "here")
    database["things"].insert_one({"_id": 1})
    ts = source.now()
    after = Timestamp(ts >> TS_COUNTER_BITS, ts & (1 << TS_COUNTER_BITS) - 1)
    at, _ = looked_up(source.lookup(database.name, "things", [key_of(1)], ts))
    [piece] = source.read(database.name, "things", EVERYTHING, ts)
    source.close()
    assert at >= ts
    assert piece.ts >= ts
    assert len(sent.finds) == 2
    for find in sent.finds:
        assert find["readConcern"]["level"] == "snapshot"
        assert find["readConcern"]["afterClusterTime"] >= after


def test_a_write_is_seen_by_a_lookup_after_its_time(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    for number in range(50):
        database["counter"].replace_one({"_id": 1}, {"n": number}, upsert=True)
        ts = source.now()
        at, found = looked_up(source.lookup(database.name, "counter", [key_of(1)], ts))
        assert at >= ts
        assert found == {key_of(1): {"n": number}}


def test_all_of_a_range_is_of_one_time(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    database["many"].insert_many([{"_id": number, "n": 0} for number in range(12_000)])
    pieces = source.read(database.name, "many", EVERYTHING, source.now())
    first = next(pieces)
    database["many"].update_many({"_id": {"$gt": 11_000}}, {"$set": {"n": 1}})
    database["many"].delete_one({"_id": 10_999})
    rest = list(pieces)
    assert {piece.ts for piece in rest} == {first.ts}
    documents = [document for piece in [first, *rest] for document in piece.documents]
    assert len(documents) == 12_000
    assert {record["n"] for _, record in documents} == {0}


def test_all_of_a_lookup_is_of_one_time(
    source: MongoSource, database: Database[dict[str, Any]], mongo_uri: str
) -> None:
    """More keys than one `$in` takes, while one writer moves all of them on in transactions."""
    keys = range(3000)
    database["moving"].insert_many([{"_id": key, "n": 0} for key in keys])
    with Changing(mongo_uri, database.name, "moving"):
        for _ in range(5):
            _, found = looked_up(source.lookup(database.name, "moving", list(map(key_of, keys)), source.now()))
            assert len(found) == len(keys)
            assert len({record["n"] for record in found.values()}) == 1


class Changing:
    """Counts `n` of all documents of a collection up, in one transaction each time, until the end of the block."""

    def __init__(self, uri: str, database: str, collection: str) -> None:
        self._uri, self._database, self._collection = uri, database, collection
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        with MongoClient[dict[str, Any]](self._uri) as client:
            while not self._stop.is_set():
                with client.start_session() as session, session.start_transaction():
                    client[self._database][self._collection].update_many({}, {"$inc": {"n": 1}}, session=session)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_tables_are_the_collections_without_views_and_system_ones(
    source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    database["b"].insert_many([{"text": "x" * 100} for _ in range(5)])
    database.create_collection("a")
    database.create_collection("view", viewOn="b", pipeline=[])
    a, b = source.tables(database.name)
    assert (a.name, a.documents, b.name, b.documents) == ("a", 0, "b", 5)
    assert b.size_bytes > 500
    assert source.tables("no_such_database") == []


def test_headroom_counts_from_the_oldest_entry_of_the_oplog(
    source: MongoSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time()
    monkeypatch.setattr(mongodb_source, "time", SimpleNamespace(time=lambda: at))
    now = source.now()

    def measured() -> tuple[float | None, float | None] | None:
        """Both of the same oplog: how much is written to it in between counts as well."""
        headroom, earlier, again = (source.headroom_seconds(now - (ago << TS_COUNTER_BITS)) for ago in (0, 3600, 0))
        return (headroom, earlier) if headroom == again else None

    found = eventually(measured, what="an oplog that stands still")
    assert found is not None
    headroom, an_hour_earlier = found
    assert headroom is not None
    assert an_hour_earlier is not None
    assert headroom > 0
    assert headroom - an_hour_earlier == pytest.approx(3600)


def test_a_wrong_password_is_fatal_and_not_told(servers: Any) -> None:
    source = open_source(servers.mongodb.uri.replace("mongodb://", "mongodb://me:s3cret@"))
    with pytest.raises(Fatal) as refused:
        source.now()
    source.close()
    assert refused.value.remedy
    assert "s3cret" not in str(refused.value)
