"""What `plan` finds out about documents, over the real encoders and without any server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from warp.change import Key, KeyKind, Record, TableRef, Write
from warp.cli import plan_text
from warp.destinations.postgresql.survey import LONGEST_KEY, open_survey
from warp.destinations.survey import Survey
from warp.evolution.misfits import SMALL_ROWS
from warp.evolution.rules import DEFAULT, Conflict, Rewrite, Rules
from warp.evolution.shape import Shape
from warp.plan import histogram
from warp.plan.dangers import HUGE_BYTES, LARGE_BYTES, MOST_KEYS, Danger, Dangers
from warp.plan.histogram import Histogram
from warp.plan.rehearsal import Rehearsal
from warp.sources.base import Inspected
from warp.values import Kind


@pytest.fixture
def survey() -> Survey:
    """PostgreSQL's, which is asked for nothing that needs a server."""
    return open_survey("postgresql://nowhere.invalid/db")


def key(number: int) -> Key:
    return Key(KeyKind.INT, str(number))


def writes(*records: Record) -> list[Write]:
    return [Write(key(number), 0, record) for number, record in enumerate(records)]


def shape_of(rehearsal: Rehearsal) -> Shape:
    assert rehearsal.shape is not None
    return rehearsal.shape


def kinds(rehearsal: Rehearsal) -> dict[str, Kind]:
    return {name: column.kind for name, column in shape_of(rehearsal).columns.items()}


def test_fields_beyond_a_number_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram, "MOST_FIELDS", 3)
    monkeypatch.setattr(histogram, "MOST_NAMES", 5)
    found = Histogram()
    found.add({f"f{number}": number, "f0": "x"} for number in range(7))
    assert [(each.field, each.present) for each in found.fields()] == [("f0", 7), ("f1", 1), ("f2", 1)]
    assert found.beyond() == (4, {"int": 4})
    found.add({f"f{number}": None} for number in range(6, 100))
    assert found.beyond() == (5, {"null": 94, "int": 4})
    assert (found.documents, found.tells_apart("f2"), found.tells_apart("f3")) == (7 + 94, True, False)


def test_the_first_value_decides(survey: Survey) -> None:
    rules = Rules(conflict=Conflict.EXTRA)
    one, other = Rehearsal(survey, None, rules), Rehearsal(survey, None, rules)
    assert one.take(writes({"v": "x"}, {"v": True})) == {("v", "does_not_fit"): 1}
    assert other.take(writes({"v": True}, {"v": "x"}, {"v": "y"})) == {("v", "does_not_fit"): 2}
    assert (kinds(one), kinds(other)) == ({"v": Kind.STRING}, {"v": Kind.BOOL})


def test_what_was_taken_before_a_column_is_widened_stays_taken(survey: Survey) -> None:
    rehearsal = Rehearsal(survey, None, DEFAULT)
    assert rehearsal.take(writes({"v": 1})) == {}
    assert rehearsal.take(writes({"v": 1.5}, {"v": 2})) == {}
    assert (kinds(rehearsal), rehearsal.kinds) == ({"v": Kind.DOUBLE}, {"v": [Kind.INT, Kind.DOUBLE]})


@pytest.mark.parametrize(("number", "kind"), [(2**53, Kind.DOUBLE), (2**53 + 1, Kind.INT), (-(2**60), Kind.INT)])
def test_an_int_column_that_double_cannot_hold_stays_one(survey: Survey, number: int, kind: Kind) -> None:
    rehearsal = Rehearsal(survey, None, DEFAULT)
    rehearsal.take(writes({"v": number}))
    kept = rehearsal.take(writes({"v": 1.5}))
    assert (kinds(rehearsal)["v"], sum(kept.values())) == (kind, kind is Kind.INT)


@pytest.mark.parametrize(("rows", "kind"), [(SMALL_ROWS, Kind.DOUBLE), (SMALL_ROWS + 1, Kind.INT)])
def test_a_table_that_is_not_small_is_not_written_anew(survey: Survey, rows: int, kind: Kind) -> None:
    before = Rehearsal(survey, None, DEFAULT)
    before.take(writes({"v": 1}))
    rehearsal = Rehearsal(survey, before.shape, Rules(rewrite=Rewrite.SMALL), rows)
    rehearsal.take(writes({"v": 1.5}))
    assert kinds(rehearsal)["v"] is kind


def test_as_in_a_load_a_table_grows_while_it_is_read(survey: Survey) -> None:
    rehearsal = Rehearsal(survey, None, Rules(rewrite=Rewrite.SMALL))
    batch = writes(*[{"v": 1}] * 50_001)
    rehearsal.take(batch)
    rehearsal.take(batch)
    assert rehearsal.take(writes({"v": 1.5})) == {("v", "does_not_fit"): 1}


def test_what_was_settled_by_another_rule_is_rehearsed_anew(survey: Survey) -> None:
    strict, lax = Rules(conflict=Conflict.DEAD_LETTER), Rules(conflict=Conflict.EXTRA)
    before = Rehearsal(survey, None, strict)
    assert before.take(writes({"v": True}, {"v": "x"})) == {("v", "dead_letter"): 1}
    rehearsal = Rehearsal(survey, before.shape, lax)
    assert rehearsal.take(writes({"v": False})) == {}
    assert rehearsal.take(writes({"v": "x"})) == {("v", "does_not_fit"): 1}


def test_what_is_only_settled_takes_no_statement(survey: Survey) -> None:
    before = Rehearsal(survey, None, DEFAULT)
    before.take(writes({"v": True}))
    rehearsal = Rehearsal(survey, before.shape, DEFAULT)
    rehearsal.take(writes({"v": "x"}))
    assert shape_of(rehearsal) != before.shape
    assert survey.ddl(TableRef("shop", "orders"), before.shape, shape_of(rehearsal)) == []


def test_dangers_are_counted_and_some_keys_are_kept() -> None:
    dangers = Dangers(max_columns=2)
    wide: dict[str, Any] = {"a": 1, "b": 2, "c": 3}
    sizes: Sequence[int] = [10, LARGE_BYTES, LARGE_BYTES + 1, HUGE_BYTES, HUGE_BYTES + 1, *[HUGE_BYTES + 9] * MOST_KEYS]
    dangers.add([Inspected(key(number), wide if size == 10 else {}, size) for number, size in enumerate(sizes)], ())
    assert dangers.largest == HUGE_BYTES + 9
    assert (dangers.found[Danger.LARGE].keys, dangers.found[Danger.WIDE].keys) == (["2", "3"], ["0"])
    huge = dangers.found[Danger.HUGE]
    assert (huge.documents, huge.most, len(huge.keys)) == (1 + MOST_KEYS, HUGE_BYTES + 9, MOST_KEYS)


def test_keys_are_as_long_as_their_bytes(survey: Survey) -> None:
    fits, too_long = "é" * (LONGEST_KEY // 2), "é" * (LONGEST_KEY // 2) + "x"
    keys = [Key(KeyKind.STRING, text) for text in ("short", fits, too_long)]
    assert survey.long_keys(keys) == [(keys[2], LONGEST_KEY + 1)]


def test_a_statement_is_broken_into_lines_only_between_its_words() -> None:
    columns = ", ".join(f'"a, {number}  ""x"" ; --" bigint' for number in range(40))
    statement = f"""CREATE TABLE "s"."t" ("_id" text COLLATE "C" PRIMARY KEY, {columns}, x text DEFAULT 'it''s  (');"""
    lines = plan_text.wrapped(statement)
    assert " ".join(line.strip() for line in lines) == statement
    assert max(map(len, lines)) <= plan_text.WIDTH - 6
    assert plan_text.wrapped('"\x1b[31m" text') == [r'"\"\u001b[31m\"" text']
