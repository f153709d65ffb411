"""The rule of `verify`, over in-memory parts: what is a difference, what is on its way, and what is looked at again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.lookups import found as looked_up
from warp.change import Delete, TableRef, Write
from warp.destinations.base import OnDrop
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.sources.base import StreamPoint
from warp.testing import MemoryDestination, MemorySource
from warp.testing.documents import key_of
from warp.verify import Example, TableResult, Verdict, verify_schema
from warp.verify.settle import MOMENTS

SCHEMA = "shop"
PATIENCE = 20.0


def nothing(_seconds: float) -> None:
    """What happens while `verify` waits, where nothing does."""


@dataclass
class Mirror:
    """Both sides, and a clock that moves only while `verify` waits."""

    calls: list[str] = field(default_factory=list)
    seconds: float = 0.0
    writes: int = 0

    def __post_init__(self) -> None:
        self.source = MemorySource(clock=lambda: 1_000_000.0, hook=self.calls.append, piece=3)
        self.destination = MemoryDestination()
        self.source.now()

    def insert(self, table: str, *documents: dict[str, Any], apply: bool = True) -> None:
        """Insert documents, and apply that."""
        for document in documents:
            self.source.insert(SCHEMA, table, document)
        if apply:
            self.apply(table, *(document["_id"] for document in documents))

    def apply(self, table: str, *identities: Any, soft: bool = False) -> None:
        """Give documents the rows that they should have now."""
        ref, keys = TableRef(SCHEMA, table), list(map(key_of, identities))
        ts, records = looked_up(self.source.lookup(*ref, keys, self.source.now()))
        seen = Seen()
        seen.add_keys(keys)
        seen.add_records(records.values(), None)
        shape = self.destination.evolve(ref, seen, Rules(soft_delete=soft), cause="test").after
        with self.destination.transaction() as transaction:
            transaction.upsert(ref, shape, [Write(key, ts, record) for key, record in records.items()])
            gone = [Delete(key, ts) for key in keys if key not in records]
            transaction.delete(ref, shape, gone, soft=soft, tombstones=False)

    def follow(self, ts: int | None = None) -> None:
        """Have a tailer say that everything before a cluster time is applied, by default all there is."""
        point = StreamPoint(position="", ts=self.source.now() + 1 if ts is None else ts)
        self.destination.metadata.begin_schema(SCHEMA, StreamPoint(position="", ts=0), [], {})
        self.destination.metadata.save_checkpoint(SCHEMA, point, point.ts)

    def verify(self, meanwhile: Callable[[float], object] = nothing) -> list[TableResult]:
        """The results; `meanwhile` is called whenever `verify` waits."""

        def wait(seconds: float) -> None:
            self.seconds += seconds
            meanwhile(seconds)

        return verify_schema(
            self.source, self.destination, SCHEMA, patience=PATIENCE, clock=lambda: self.seconds, wait=wait
        )


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


def counts(result: TableResult) -> tuple[int, int, int, int, int]:
    return result.source_documents, result.target_rows, result.missing, result.extra, result.different


def test_equal_sides_are_identical_at_once(mirror: Mirror) -> None:
    mirror.insert("items", *({"_id": n, "n": n} for n in range(10)))
    mirror.insert("boxes", {"_id": "a"})

    results = mirror.verify()

    assert [(result.table, counts(result)) for result in results] == [
        ("boxes", (1, 1, 0, 0, 0)),
        ("items", (10, 10, 0, 0, 0)),
    ]
    assert all(result.identical and not result.examples for result in results)
    assert mirror.seconds == 0
    assert "source.fetch" not in mirror.calls


def test_rows_that_are_kept_of_what_the_source_dropped_are_counted_and_are_no_difference(mirror: Mirror) -> None:
    mirror.insert("items", *({"_id": n, "n": n} for n in range(5)))
    mirror.destination.metadata.add_tables(SCHEMA, {"items": 1})
    ref, ts = TableRef(SCHEMA, "items"), mirror.source.now() + 1
    assert mirror.destination.drop(ref, ts, OnDrop.KEEP, soft=False, cause="drop")
    mirror.source.drop(SCHEMA, "items")
    mirror.insert("items", {"_id": 3, "n": 3})

    [result] = mirror.verify()

    assert (counts(result), result.kept_rows) == ((1, 1, 0, 0, 0), 4)
    assert result.identical
    assert result.to_json()["kept_rows"] == 4


def test_missing_extra_and_different_are_counted_and_named(mirror: Mirror) -> None:
    mirror.insert("items", *({"_id": n, "n": n, "word": "tea"} for n in range(5)))
    mirror.insert("items", {"_id": 7, "n": 7}, apply=False)
    mirror.source.update(SCHEMA, "items", 1, n=100, word="secret")
    mirror.source.delete(SCHEMA, "items", 2)

    [result] = mirror.verify()

    assert counts(result) == (5, 5, 1, 1, 1)
    assert not result.identical
    assert sorted(result.examples, key=lambda example: example.key) == [
        Example(key="1", problem=Verdict.DIFFERENT, fields=("n", "word")),
        Example(key="2", problem=Verdict.EXTRA, fields=()),
        Example(key="7", problem=Verdict.MISSING, fields=()),
    ]
    assert "secret" not in str(result.to_json())


def test_a_table_of_one_side_alone(mirror: Mirror) -> None:
    mirror.insert("gone", {"_id": 1}, {"_id": 2})
    del mirror.source.documents[TableRef(SCHEMA, "gone")]
    mirror.insert("new", {"_id": 1}, apply=False)

    gone, new = mirror.verify()

    assert (gone.table, counts(gone)) == ("gone", (0, 2, 0, 2, 0))
    assert (new.table, counts(new)) == ("new", (1, 0, 1, 0, 0))


def test_rows_softly_deleted_do_not_count(mirror: Mirror) -> None:
    mirror.insert("items", {"_id": 1}, {"_id": 2}, apply=False)
    mirror.apply("items", 1, 2, soft=True)
    mirror.source.delete(SCHEMA, "items", 1)
    mirror.apply("items", 1, soft=True)

    [result] = mirror.verify()

    assert counts(result) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "documents"),
    [
        (lambda source: source.insert(SCHEMA, "items", {"_id": 9, "n": 9}), 4),
        (lambda source: source.update(SCHEMA, "items", 1, n=100), 3),
        (lambda source: source.delete(SCHEMA, "items", 1), 2),
    ],
    ids=["insert", "update", "delete"],
)
def test_a_change_in_flight_is_no_difference(
    mirror: Mirror, change: Callable[[MemorySource], None], documents: int
) -> None:
    mirror.insert("items", *({"_id": n, "n": n} for n in range(3)))
    mirror.follow()
    change(mirror.source)

    [result] = mirror.verify(lambda _: mirror.apply("items", 1, 9))

    assert counts(result) == (documents, documents, 0, 0, 0)
    assert mirror.seconds < PATIENCE


def test_a_new_table_in_flight_is_no_difference(mirror: Mirror) -> None:
    mirror.insert("items", {"_id": 1, "n": 1}, apply=False)

    [result] = mirror.verify(lambda _: mirror.apply("items", 1))

    assert counts(result) == (1, 1, 0, 0, 0)


def test_a_difference_is_certain_once_the_checkpoint_has_passed_it(mirror: Mirror) -> None:
    mirror.insert("items", {"_id": 1}, {"_id": 2})
    mirror.insert("items", {"_id": 3}, apply=False)

    [result] = mirror.verify(lambda _: mirror.follow())

    assert counts(result) == (3, 2, 1, 0, 0)
    assert mirror.seconds < 2


def test_a_checkpoint_at_the_very_time_of_the_change_proves_nothing(mirror: Mirror) -> None:
    """Changes of one transaction share a cluster time: some of them may still be under way."""
    mirror.insert("items", {"_id": 1}, apply=False)
    mirror.follow(mirror.source.now())

    [result] = mirror.verify()

    assert counts(result) == (1, 0, 1, 0, 0)
    assert mirror.seconds >= PATIENCE


def test_without_a_tailer_what_differs_when_patience_ends_is_a_difference(mirror: Mirror) -> None:
    mirror.insert("items", {"_id": 1}, apply=False)

    [result] = mirror.verify()

    assert counts(result) == (1, 0, 1, 0, 0)
    assert PATIENCE <= mirror.seconds < PATIENCE + 1


def test_a_document_that_never_rests_is_equal_when_its_row_is_once(mirror: Mirror) -> None:
    mirror.insert("items", {"_id": 1, "n": 0})
    mirror.source.update(SCHEMA, "items", 1, n=1)

    def live_on(seconds: float) -> None:
        mirror.follow()
        if seconds in MOMENTS:
            mirror.apply("items", 1)
        else:
            mirror.writes += 1
            mirror.source.update(SCHEMA, "items", 1, n=mirror.writes + 1)

    [result] = mirror.verify(live_on)

    assert counts(result) == (1, 1, 0, 0, 0)


def test_a_row_that_does_not_follow_its_document_is_a_difference_however_often_that_changes(mirror: Mirror) -> None:
    mirror.insert("items", {"_id": 1, "n": 0})

    def live_on(_: float) -> None:
        mirror.follow()
        mirror.writes += 1
        mirror.source.update(SCHEMA, "items", 1, n=mirror.writes)

    live_on(0)
    [result] = mirror.verify(live_on)

    assert counts(result) == (1, 1, 0, 0, 1)


def test_suspects_are_bounded_and_what_is_beyond_counts_as_it_was_seen(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.verify.walk.MOST_SUSPECTS", 4)
    mirror.insert("items", *({"_id": n} for n in range(30)), apply=False)

    [result] = mirror.verify(lambda _: mirror.apply("items", *range(30)))

    assert counts(result) == (30, 4, 26, 0, 0)
    assert len(result.examples) == 20


def test_progress_names_tables_and_documents(mirror: Mirror) -> None:
    mirror.insert("items", *({"_id": n} for n in range(7)))
    told: list[tuple[str, int]] = []

    verify_schema(mirror.source, mirror.destination, SCHEMA, progress=lambda *what: told.append(what))

    assert told == [("items", 3), ("items", 6), ("items", 7)]
