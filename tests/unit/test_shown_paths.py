"""Fields inside of objects that have columns, as they are shown and kept: readable, and never with a NUL."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from warp.change import BEGINNING, PATH, TableRef
from warp.cli.shapes import Drift, as_text, drift_as_text, version_to_json
from warp.cli.status import _names
from warp.destinations.base import Written
from warp.destinations.survey import ShapeVersion
from warp.evolution.decide import decide
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules
from warp.evolution.shape import Shape
from warp.monitoring.status import State, TableStatus
from workers.report import Report

REF = TableRef("shop", "people")
FREE, TAKEN, ODD = PATH.join("ab"), PATH.join(("c", "d")), PATH.join(("\udcff", "x"))


@pytest.fixture
def shape() -> Shape:
    seen = Seen()
    seen.add_records([{"c_d": 1, FREE: 1, TAKEN: 1, ODD: 1}], None)
    return decide(None, seen, Rules(flatten_depth=1)).after


def test_the_registry_has_the_names_on_the_way(shape: Shape) -> None:
    written = shape.to_json()
    assert [name for name, *_ in written["columns"]] == ["c_d", ["a", "b"], ["c", "d"], [{"$utf8": "/w=="}, "x"]]
    assert Shape.from_json(1, json.loads(json.dumps(written))) == shape


def test_only_what_is_called_otherwise_than_its_names_is_renamed(shape: Shape) -> None:
    assert shape.renamed.keys() == {TAKEN, ODD}


def test_history_and_diff_show_dots(shape: Shape) -> None:
    version = ShapeVersion(
        ref=REF, version=1, before=None, after=shape, cause="test", position=BEGINNING, at=datetime.now(UTC)
    )
    drift = Drift(version=version, expected={column.name: "bigint" for column in shape.columns.values()}, actual={})
    shown = json.dumps(version_to_json(version))
    text = as_text(version).plain + drift_as_text(drift).plain
    assert "a_b int (field a.b)" in text
    assert text.count("(field c.d)") == 2
    assert '"field": "a.b"' in shown
    assert "\0" not in text
    assert "\\u0000" not in text + shown


def test_logs_show_dots(shape: Shape, capsys: pytest.CaptureFixture[str]) -> None:
    Report().wrote(REF, Written(kept=Counter({(FREE, "does_not_fit"): 1})), 0)
    assert "fields={'a.b': 'does_not_fit'}" in capsys.readouterr().out


def test_a_path_and_a_field_with_that_dot_are_both_told() -> None:
    table = TableStatus(
        name="people",
        state=State.STREAMING,
        lag_seconds=None,
        backlog_changes=None,
        backlog_bytes=None,
        rows_loaded=0,
        changes_applied=0,
        dead_letters=0,
        documents_estimate=0,
        chunks=0,
        chunks_loaded=0,
        blocked=None,
        target='"shop"."people"',
        renamed={"c.d": "c.d_1", TAKEN: "c_d_2"},
    )
    renamed = [{"name": "c.d", "becomes": "c.d_1"}, {"name": "c.d", "becomes": "c_d_2"}]
    assert table.to_json()["renamed_columns"] == renamed
    [line] = _names("shop", table)
    assert line == "columns of people: c.d is c.d_1, c.d is c_d_2"
