"""What a real replica set says of whole collections: drop, rename, $out, $merge, dropDatabase, and its temporaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from tests.support import raw_commands
from tests.support.wait import eventually
from warp.change import RoutedChange
from warp.errors import StreamInvalid
from warp.sources.base import ChangeStream, TableEvent, TableFate
from warp.sources.mongodb.source import MongoSource
from warp.sources.mongodb.table_events import is_mirrored

WAIT = 0.2
LAST = "the last one"
UNREADABLE = b"o\xff".decode("utf-8", "surrogateescape")
DROPPED, REPLACED = TableFate.DROPPED, TableFate.REPLACED


class Followed:
    """A change stream of a database, and what it has said since."""

    def __init__(self, source: MongoSource, database: Database[dict[str, Any]]) -> None:
        self._source = source
        self._database = database
        self._stream: ChangeStream = source.open_stream(database.name, None)
        self.changes: list[RoutedChange] = []
        self.events: list[TableEvent] = []
        self.ends = 0
        """How often the source ended the stream."""

    def read(self) -> list[tuple[str, TableFate]]:
        """Everything up to now; the events, in short."""
        self._database[LAST].insert_one({})
        eventually(self._read, what="everything up to now")
        return [(event.table, event.fate) for event in self.events]

    def _read(self) -> bool:
        try:
            batch = self._stream.next_batch(WAIT)
        except StreamInvalid:
            self.ends += 1
            self._stream.close()
            self._stream = self._source.open_stream(self._database.name, self._stream.point)
            return False
        self.changes += [change for change in batch.changes if change.table != LAST]
        self.events += batch.events
        return any(change.table == LAST for change in batch.changes)

    @property
    def tables(self) -> list[str]:
        """The tables of the changes."""
        return [change.table for change in self.changes]

    def close(self) -> None:
        """Give the stream back."""
        self._stream.close()


@pytest.fixture
def followed(source: MongoSource, database: Database[dict[str, Any]]) -> Iterator[Followed]:
    """The database's stream from here on; collections `orders` and `drafts` have three documents each."""
    for name in ("orders", "drafts"):
        database[name].insert_many({"_id": number} for number in range(3))
    followed = Followed(source, database)
    yield followed
    followed.close()


def test_a_drop(followed: Followed, database: Database[dict[str, Any]]) -> None:
    database["orders"].insert_one({"_id": "before"})
    database.drop_collection("orders")
    database["orders"].insert_one({"_id": "after"})
    assert followed.read() == [("orders", DROPPED)]
    before, after = followed.changes
    assert before.ts < followed.events[0].ts < after.ts


def test_a_rename_to_a_new_name(followed: Followed, database: Database[dict[str, Any]]) -> None:
    database["orders"].rename("archive")
    assert followed.read() == [("orders", DROPPED), ("archive", REPLACED)]
    assert followed.tables == []


def test_a_rename_over_a_collection(followed: Followed, database: Database[dict[str, Any]]) -> None:
    database["drafts"].rename("orders", dropTarget=True)
    assert followed.read() == [("drafts", DROPPED), ("orders", REPLACED)]
    assert followed.events[0].cause == "rename of drafts to orders"


@pytest.mark.parametrize("target", ["orders", "new"])
def test_out(followed: Followed, database: Database[dict[str, Any]], target: str) -> None:
    database["drafts"].aggregate([{"$set": {"v": 1}}, {"$out": target}])
    assert followed.read() == [(target, REPLACED)]
    assert followed.tables == [], "those of the temporary collection are no one's"


def test_a_rename_to_or_from_a_name_that_is_not_utf8(followed: Followed, database: Database[dict[str, Any]]) -> None:
    """No such collection has a table, so that only the other one is concerned."""
    raw_commands.rename(database, "orders", UNREADABLE)
    raw_commands.run(database, {"insert": UNREADABLE, "documents": [{"_id": 9}]})
    raw_commands.rename(database, UNREADABLE, "drafts")
    raw_commands.run(database, {"aggregate": "drafts", "pipeline": [{"$out": UNREADABLE}], "cursor": {}})
    raw_commands.run(database, {"drop": UNREADABLE})
    assert followed.read() == [("orders", DROPPED), ("drafts", REPLACED)]
    assert followed.events[0].cause == "rename of orders to $utf8:6fff"
    assert followed.tables == []


def test_merge_makes_ordinary_changes(followed: Followed, database: Database[dict[str, Any]]) -> None:
    database["drafts"].aggregate([{"$set": {"v": 1}}, {"$merge": "orders"}])
    database["drafts"].aggregate([{"$merge": "new"}])
    assert followed.read() == []
    assert followed.tables == ["orders"] * 3 + ["new"] * 3


def test_a_rename_from_another_database(
    followed: Followed, database: Database[dict[str, Any]], source: MongoSource
) -> None:
    elsewhere = database.client[f"{database.name}_elsewhere"]
    try:
        elsewhere["orders"].insert_many({"_id": number} for number in range(10, 14))
        theirs = Followed(source, elsewhere)
        for name, over in (("new", False), ("orders", True)):
            database.client.admin.command(
                "renameCollection",
                f"{elsewhere.name}.orders",
                to=f"{database.name}.{name}",
                dropTarget=over,
            )
            elsewhere["orders"].insert_one({"_id": 10})
        assert followed.read() == [("new", REPLACED), ("orders", REPLACED)]
        assert followed.tables == []
        assert theirs.read() == [("orders", DROPPED), ("orders", DROPPED)]
        assert theirs.tables == ["orders", "orders"]
        theirs.close()
        assert {table.name: table.documents for table in source.tables(database.name)} == {
            "drafts": 3,
            "new": 4,
            "orders": 1,
            LAST: 1,
        }
    finally:
        database.client.drop_database(elsewhere)


def test_a_collection_that_is_made_capped_is_replaced(followed: Followed, database: Database[dict[str, Any]]) -> None:
    database.command("convertToCapped", "orders", size=100_000)
    assert followed.read() == [("orders", REPLACED)]
    assert followed.tables == []


def test_a_drop_of_the_database_and_what_comes_after_it(followed: Followed, database: Database[dict[str, Any]]) -> None:
    database["orders"].insert_one({"_id": "before"})
    database.client.drop_database(database.name)
    database["orders"].insert_one({"_id": "after"})
    events = followed.read()
    assert sorted(events) == [("drafts", DROPPED), ("orders", DROPPED)]
    assert followed.ends == 1
    before, after = followed.changes
    assert before.ts < min(event.ts for event in followed.events)
    assert max(event.ts for event in followed.events) < after.ts
    database.client.drop_database(database.name)
    database["new"].insert_one({})
    followed.read()
    assert followed.ends == 2
    assert followed.tables[-1] == "new"


def test_a_stream_that_was_closed_before_the_database_was_dropped_goes_on_behind_it(
    followed: Followed, database: Database[dict[str, Any]], source: MongoSource
) -> None:
    followed.read()
    point = followed._stream.point
    database.client.drop_database(database.name)
    database["orders"].insert_one({"_id": "after"})
    followed.close()
    followed._stream = source.open_stream(database.name, point)
    assert sorted(followed.read()) == [("drafts", DROPPED), ("orders", DROPPED), (LAST, DROPPED)]
    assert followed.tables == ["orders"]


def test_views_and_time_series_are_no_ones(
    followed: Followed, database: Database[dict[str, Any]], source: MongoSource
) -> None:
    database.create_collection("seen", viewOn="orders", pipeline=[])
    database.create_collection("measured", timeseries={"timeField": "at"})
    database.drop_collection("seen")
    database.drop_collection("measured")
    assert [event for event in followed.read() if event[0] not in ("seen", "measured")] == []
    assert followed.tables == []
    assert {table.name for table in source.tables(database.name)} == {"orders", "drafts", LAST}


def test_a_capped_collection_is_dropped_and_renamed_as_others(
    followed: Followed, database: Database[dict[str, Any]]
) -> None:
    database.create_collection("ring", capped=True, size=10_000)
    database["ring"].insert_one({})
    database["ring"].rename("ring2")
    database.drop_collection("ring2")
    assert followed.read() == [("ring", DROPPED), ("ring2", REPLACED), ("ring2", DROPPED)]
    assert followed.tables == ["ring"]


@pytest.mark.parametrize(
    ("collection", "mirrored"),
    [
        ("orders", True),
        ("system.views", False),
        ("system.buckets.measured", False),
        ("tmp.agg_out.1f0c", False),
        ("tmp.mr.orders_1", False),
        ("tmpAb3dE.renameCollection", False),
        ("tmpAb3dE.convertToCapped.orders", False),
        ("my.renameCollection", True),
        ("tmp", True),
        ("tmp.orders", True),
        ("systems", True),
        ("tmpAb3dE.orders", True),
    ],
)
def test_temporary_collections_are_known_by_their_names(collection: str, mirrored: bool) -> None:
    assert is_mirrored(collection) is mirrored
