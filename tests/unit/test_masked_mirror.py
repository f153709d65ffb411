"""Filters of fields on every way into PostgreSQL, over in-memory parts: loads, changes, updates, letters, replays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import Operation
from warp.filters import REDACTED, FieldPatterns, Mask, field_filter
from warp.metadata.base import LetterState
from warp.verify import verify_schema
from workers.replay import Outcome, Replayer
from workers.report import Report

SECRET = "ann@example.org"
PATTERNS = FieldPatterns(
    exclude=("phone", "address.street"),
    mask=(("email", Mask.HASH), ("name", Mask.REDACT), ("birthday", Mask.NULL), ("contacts.email", Mask.HASH)),
)
PERSON = {
    "v": 1,
    "email": SECRET,
    "name": SECRET,
    "birthday": SECRET,
    "phone": SECRET,
    "address": {"street": SECRET, "city": "Ulm"},
    "contacts": [{"email": SECRET, "kind": "home"}],
}


@pytest.fixture
def mirror() -> Mirror:
    mirror = Mirror()
    mirror.filter = field_filter((PATTERNS,), "a salt of these tests")
    return mirror


@pytest.fixture(autouse=True)
def _hidden_values_are_written_nowhere(mirror: Mirror, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a test does: nothing that is written, or logged, holds the value."""
    yield
    database = mirror.database
    rows = database.rows.get(REF, {}).values()
    values = [getattr(value, "text", value) for row in rows for value in row.fields.values()]
    held = [values, database.letters, database.errors, database.audit, database.shapes, capfd.readouterr()]
    assert SECRET not in repr(held)
    assert all(stored.letter.payload == b"" for stored in database.letters.values())


def replayer(mirror: Mirror) -> Replayer:
    return Replayer(mirror.source, mirror.destination, settings=mirror.settings, report=Report(), wait=mirror.advance)


def identical(mirror: Mirror) -> bool:
    results = verify_schema(
        mirror.source,
        mirror.destination,
        SCHEMA,
        patience=0,
        wait=mirror.advance,
        fields=lambda _: mirror.settings().fields,
    )
    return all(result.identical for result in results)


def test_loads_inserts_replaces_and_updates_are_filtered_alike(mirror: Mirror) -> None:
    mirror.insert(1, **PERSON)
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.insert(2, 3, 4, **PERSON)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 3, **PERSON})
    mirror.source.update(SCHEMA, TABLE, 4, v=2)
    mirror.catch_up(tailer)
    rows = mirror.rows()
    assert rows.keys() == {"1", "2", "3", "4"}
    for row in rows.values():
        assert row.fields["name"] == REDACTED
        assert "phone" not in row.fields
    assert len({str(row.fields["email"]) for row in rows.values()}) == 1
    assert mirror.identical()
    assert identical(mirror)


def test_an_excluded_field_has_no_column(mirror: Mirror) -> None:
    mirror.insert(1, **PERSON)
    mirror.catch_up(mirror.tailer())
    assert "phone" not in mirror.database.shapes[REF].columns


def test_a_dead_letter_keeps_the_key_alone_and_a_replay_looks_the_document_up(mirror: Mirror) -> None:
    mirror.database.poison.add(key(2))
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.insert(1, 2, **PERSON)
    mirror.catch_up(tailer)
    (stored,) = mirror.database.letters.values()
    assert (stored.letter.key, stored.letter.operation, stored.letter.payload) == (key(2), Operation.INSERT, b"")
    mirror.database.poison.clear()
    assert replayer(mirror).replay(stored.number).outcome is Outcome.APPLIED
    assert mirror.identical()
    assert identical(mirror)


def test_a_letter_of_a_document_that_is_gone_is_superseded(mirror: Mirror) -> None:
    mirror.database.poison.add(key(2))
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.insert(2, **PERSON)
    tailer.tick()
    mirror.work()
    mirror.source.delete(SCHEMA, TABLE, 2)
    mirror.database.poison.clear()
    (stored,) = mirror.database.letters.values()
    assert replayer(mirror).replay(stored.number).outcome is Outcome.SUPERSEDED
    mirror.catch_up(tailer)
    assert mirror.rows() == {}


def test_a_letter_of_a_delete_deletes(mirror: Mirror) -> None:
    """Its key is all that a delete needs; a lookup would find nothing, and leave the row."""
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.database.poison.add(key(2))
    mirror.insert(2, **PERSON)
    mirror.catch_up(tailer)
    (place, stored), *_ = mirror.database.letters.items()
    letter = replace(stored.letter, operation=Operation.DELETE, ts=mirror.source.now() + 1)
    mirror.database.poison.clear()
    mirror.database.letters[place] = replace(stored, letter=letter)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 2, **PERSON})
    replayed = replayer(mirror).replay(stored.number)
    assert replayed.outcome is Outcome.SUPERSEDED
    assert "source.lookup" not in mirror.calls
    after = mirror.metadata.letter(stored.number)
    assert after is not None
    assert after.state is LetterState.SUPERSEDED


def test_verify_tells_what_was_written_before_there_was_a_filter(mirror: Mirror) -> None:
    filtered, mirror.filter = mirror.filter, None
    mirror.insert(1, v=1, phone="5", email="x")
    mirror.catch_up(mirror.tailer())
    mirror.filter = filtered
    [result] = verify_schema(
        mirror.source,
        mirror.destination,
        SCHEMA,
        patience=0,
        wait=mirror.advance,
        fields=lambda _: mirror.settings().fields,
    )
    assert [example.fields for example in result.examples] == [("email", "phone")]
