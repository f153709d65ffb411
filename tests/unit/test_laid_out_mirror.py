"""Layouts on every way into PostgreSQL, over in-memory parts: loads, changes, updates, letters, replays, `verify`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import PATH
from warp.evolution.rules import Layout
from warp.verify import verify_schema
from workers.replay import Outcome, Replayer
from workers.report import Report

NESTED: dict[str, Any] = {"a": {"b": {"c": 1}, "d": None}, "list": [{"a": 1}], "empty": {}}


@pytest.fixture(params=[1, 2, Layout.DOCUMENT], ids=str)
def mirror(request: pytest.FixtureRequest) -> Mirror:
    mirror = Mirror()
    if request.param is Layout.DOCUMENT:
        mirror.layout = Layout.DOCUMENT
    else:
        mirror.flatten_depth = request.param
    return mirror


def test_loads_inserts_replaces_and_updates_are_laid_out_alike(mirror: Mirror) -> None:
    mirror.insert(1, **NESTED)
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.insert(2, 3, 4, **NESTED)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 3, **NESTED, "a": 5})
    mirror.source.update(SCHEMA, TABLE, 4, v=2)
    mirror.catch_up(tailer)
    rows = mirror.rows()
    assert rows.keys() == {"1", "2", "3", "4"}
    assert rows["1"].fields.keys() == rows["2"].fields.keys()
    assert mirror.identical()
    assert not any("a" in row.fields for number, row in rows.items() if number != "3")
    assert ("doc" in rows["3"].fields) is (mirror.layout is Layout.DOCUMENT)


def test_a_layout_hides_nothing_so_that_letters_keep_their_change(mirror: Mirror) -> None:
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.database.poison.add(key(1))
    mirror.insert(1, **NESTED)
    mirror.catch_up(tailer)
    [stored] = mirror.database.letters.values()
    assert b'"list"' in stored.letter.payload
    mirror.database.poison.clear()
    replayer = Replayer(
        mirror.source, mirror.destination, settings=mirror.settings, report=Report(), wait=mirror.advance
    )
    assert replayer.replay(stored.number).outcome is Outcome.APPLIED
    assert mirror.identical()


def test_verify_names_a_field_inside_of_an_object_by_its_path(mirror: Mirror) -> None:
    mirror.insert(1, **NESTED)
    mirror.catch_up(mirror.tailer())
    mirror.source.documents[REF][key(1)]["a"] = {"b": {"c": 2}, "d": None}
    form = mirror.settings().fields
    [result] = verify_schema(
        mirror.source, mirror.destination, SCHEMA, patience=0, wait=mirror.advance, fields=lambda _: form
    )
    [fields] = [example.fields for example in result.examples]
    assert fields == {1: ("a.b",), 2: ("a.b.c",), 0: ("doc",)}[mirror.flatten_depth]
    assert PATH not in str(result.to_json())
