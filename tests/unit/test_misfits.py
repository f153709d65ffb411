"""Values that a column did not take: what becomes of it and of them, for every kind, rule and table."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations, product

import pytest

from warp.change import KeyKind
from warp.evolution.decide import Decision, decide
from warp.evolution.infer import Seen
from warp.evolution.misfits import EMPTY, Assumed, in_force
from warp.evolution.rules import DEFAULT, Conflict, Rewrite, Rules, Settled
from warp.evolution.shape import TAKE_ALL, Column, Shape
from warp.values import Kind

VALUES = [kind for kind in Kind if kind not in TAKE_ALL]
_SOME = (Kind.INT, Kind.DOUBLE, Kind.DECIMAL, Kind.STRING)
RULES = [Rules(rewrite=rewrite, conflict=conflict) for rewrite, conflict in product(Rewrite, Conflict)]
FACTS = [Assumed(*each) for each in product((True, False), repeat=3)]


def shape(kind: Kind, **settled: Settled) -> Shape:
    """A table with one column."""
    column = Column(name="f", kind=kind, settled={Kind(value): rule for value, rule in settled.items()})
    return Shape(version=1, key_kind=KeyKind.STRING, columns={"f": column})


def met(shape: Shape, *kinds: Kind) -> Seen:
    """Its column did not take values of those kinds."""
    seen = Seen()
    seen.add_misfits({"f": kinds}, (), shape)
    return seen


def decided(shape: Shape, *kinds: Kind, rules: Rules = DEFAULT, facts: Assumed = EMPTY) -> Column:
    """What becomes of the column."""
    return decide(shape, met(shape, *kinds), rules, facts).after.columns["f"]


@pytest.mark.parametrize(
    ("kind", "value", "rules", "facts", "becomes"),
    [
        (Kind.INT, Kind.DOUBLE, {}, {}, Kind.DOUBLE),
        (Kind.INT, Kind.DECIMAL, {}, {}, Kind.DECIMAL),
        (Kind.INT, Kind.DECIMAL, {"rewrite": "never"}, {}, Settled.REWRITE_NEVER),
        (Kind.INT, Kind.DECIMAL, {}, {"small": False}, Settled.REWRITE_SMALL),
        (Kind.INT, Kind.DECIMAL, {"rewrite": "always"}, {"small": False}, Kind.DECIMAL),
        (Kind.INT, Kind.DECIMAL, {"rewrite": "always"}, {"rewritable": False}, Settled.REFUSED),
        (Kind.INT, Kind.DECIMAL, {}, {"exact": False}, Kind.DECIMAL),
        (Kind.INT, Kind.DECIMAL, {"conflict": "dead_letter"}, {}, Kind.DECIMAL),
        (Kind.INT, Kind.DOUBLE, {}, {"exact": False}, Settled.NOT_EXACT),
        (Kind.INT, Kind.DOUBLE, {"conflict": "dead_letter"}, {"exact": False}, Settled.CONFLICT_DEAD_LETTER),
        (Kind.INT, Kind.DOUBLE, {"conflict": "text"}, {"exact": False}, Kind.TEXT),
        (Kind.INT, Kind.DOUBLE, {"conflict": "jsonb"}, {"exact": False}, Kind.ANY),
        (Kind.DOUBLE, Kind.INT, {}, {}, Settled.CONFLICT_EXTRA),
        (Kind.DOUBLE, Kind.DECIMAL, {}, {}, Settled.CONFLICT_EXTRA),
        (Kind.DECIMAL, Kind.DOUBLE, {}, {}, Settled.CONFLICT_EXTRA),
        (Kind.INT, Kind.STRING, {}, {}, Settled.CONFLICT_EXTRA),
        (Kind.INT, Kind.STRING, {"conflict": "dead_letter", "rewrite": "never"}, {}, Settled.CONFLICT_DEAD_LETTER),
        (Kind.INT, Kind.STRING, {"conflict": "text"}, {}, Kind.TEXT),
        (Kind.INT, Kind.STRING, {"conflict": "text"}, {"small": False}, Settled.REWRITE_SMALL),
        (Kind.STRING, Kind.INT, {"conflict": "text", "rewrite": "never"}, {}, Kind.TEXT),
        (Kind.STRING, Kind.OBJECT_ID, {"conflict": "text", "rewrite": "never"}, {}, Kind.TEXT),
        (Kind.OBJECT_ID, Kind.STRING, {"conflict": "text", "rewrite": "never"}, {}, Settled.REWRITE_NEVER),
        (Kind.JSON, Kind.INT, {"conflict": "jsonb", "rewrite": "never"}, {}, Kind.ANY),
        (Kind.JSON, Kind.INT, {"conflict": "text"}, {}, Kind.TEXT),
        (Kind.STRING, Kind.JSON, {"conflict": "jsonb", "rewrite": "never"}, {}, Settled.REWRITE_NEVER),
        (Kind.STRING, Kind.JSON, {"conflict": "jsonb"}, {}, Kind.ANY),
    ],
)
def test_what_becomes_of_a_column(
    kind: Kind, value: Kind, rules: dict[str, str], facts: dict[str, bool], becomes: Kind | Settled
) -> None:
    rewrite, conflict = rules.get("rewrite", DEFAULT.rewrite), rules.get("conflict", DEFAULT.conflict)
    chosen = Rules(rewrite=Rewrite(rewrite), conflict=Conflict(conflict))
    column = decided(shape(kind), value, rules=chosen, facts=Assumed(**facts))
    if isinstance(becomes, Settled):
        assert (column.kind, column.settled) == (kind, {value: becomes})
    else:
        assert (column.kind, column.settled) == (becomes, {})


@pytest.mark.parametrize("rules", RULES)
def test_every_misfit_is_decided_once_and_for_all(rules: Rules) -> None:
    for kind, facts in product(Kind, FACTS):
        for kinds in (*((value,) for value in VALUES), *combinations(_SOME, 2), tuple(VALUES)):
            before = shape(kind)
            seen = met(before, *kinds)
            decision = decide(before, seen, rules, facts)
            after = decision.after
            column = after.columns["f"]
            assert decision.changes == bool(seen.misfits) == (kind not in TAKE_ALL and set(kinds) != {kind})
            # Neither the same again, nor what the new column may still not take, asks for anything.
            assert not decide(after, seen, rules, facts).changes
            again = met(after, *kinds)
            assert not again.misfits or column.kind is not kind
            settled = decide(after, again, rules, facts)
            assert not met(settled.after, *kinds).misfits
            assert decide(before, met(before, *reversed(kinds)), rules, facts) == decision
            assert in_force(settled.after, rules) is settled.after, "it rests on the rules alone"


def test_nothing_but_what_was_met_is_settled() -> None:
    column = decided(shape(Kind.BOOL), Kind.STRING, Kind.INT)
    assert column.settled == {Kind.INT: Settled.CONFLICT_EXTRA, Kind.STRING: Settled.CONFLICT_EXTRA}
    assert list(column.settled) == [Kind.INT, Kind.STRING]
    assert not met(shape(Kind.INT), Kind.INT).misfits
    assert not met(shape(Kind.TEXT), Kind.INT).misfits


def test_what_was_settled_is_decided_anew_where_a_column_becomes_another() -> None:
    held = shape(Kind.INT, double=Settled.NOT_EXACT)
    assert decided(held, Kind.DECIMAL).settled == {Kind.DOUBLE: Settled.CONFLICT_EXTRA}
    assert decided(held, Kind.DECIMAL).kind is Kind.DECIMAL


def test_a_rule_that_is_no_more_in_force_settles_nothing() -> None:
    held = shape(Kind.INT, decimal=Settled.REWRITE_NEVER, string=Settled.CONFLICT_EXTRA)
    always = Rules(rewrite=Rewrite.ALWAYS)
    strict = Rules(rewrite=Rewrite.NEVER, conflict=Conflict.DEAD_LETTER)
    assert in_force(held, Rules(rewrite=Rewrite.NEVER)) is held
    assert in_force(held, always).columns["f"].settled == {Kind.STRING: Settled.CONFLICT_EXTRA}
    assert in_force(held, strict).columns["f"].settled == {Kind.DECIMAL: Settled.REWRITE_NEVER}
    again = met(in_force(held, always), Kind.DECIMAL, Kind.STRING)
    assert again.misfits == {"f": (Kind.INT, frozenset({Kind.DECIMAL}))}
    assert decide(held, again, always).after.columns["f"].kind is Kind.DECIMAL


def test_nothing_is_decided_anew_before_such_a_value_comes() -> None:
    held = shape(Kind.INT, decimal=Settled.REWRITE_NEVER, string=Settled.CONFLICT_EXTRA)
    for rules in RULES:
        assert not decide(held, Seen(), rules).changes
    strict = Rules(conflict=Conflict.DEAD_LETTER)
    assert decided(held, Kind.BOOL, rules=strict).settled == {
        Kind.BOOL: Settled.CONFLICT_DEAD_LETTER,
        Kind.DECIMAL: Settled.REWRITE_NEVER,
        Kind.STRING: Settled.CONFLICT_EXTRA,
    }


def test_what_was_refused_is_open_again_after_the_rule_was_never() -> None:
    held = shape(Kind.INT, decimal=Settled.REFUSED)
    assert in_force(held, DEFAULT) is held
    never = Rules(rewrite=Rewrite.NEVER)
    after = decide(held, met(in_force(held, never), Kind.DECIMAL), never).after
    assert after.columns["f"].settled == {Kind.DECIMAL: Settled.REWRITE_NEVER}
    again = decide(after, met(in_force(after, DEFAULT), Kind.DECIMAL), DEFAULT).after
    assert again.columns["f"].kind is Kind.DECIMAL


def test_what_comes_first_decides_where_it_does_not_come_together() -> None:
    together = decided(shape(Kind.INT), Kind.DECIMAL, Kind.DOUBLE)
    first = decide(shape(Kind.INT), met(shape(Kind.INT), Kind.DECIMAL), DEFAULT).after
    assert (together.kind, decided(first, Kind.DOUBLE).kind) == (Kind.DOUBLE, Kind.DECIMAL)


def test_what_did_not_fit_a_column_that_became_another_one_since_is_tried_again_first() -> None:
    seen = met(shape(Kind.INT), Kind.DOUBLE)
    assert not decide(shape(Kind.DECIMAL), seen, DEFAULT).changes


def test_a_decision_says_what_it_widens() -> None:
    decision: Decision = decide(shape(Kind.INT), met(shape(Kind.INT), Kind.DECIMAL), DEFAULT)
    [(field, (before, after))] = decision.widened.items()
    assert (field, before.kind, after.kind, decision.after.version) == ("f", Kind.INT, Kind.DECIMAL, 2)
    assert decision.new_columns == ()
    assert not decide(None, Seen(), DEFAULT).widened


def test_what_is_settled_comes_back_from_json_and_older_json_is_read() -> None:
    held = shape(Kind.INT, double=Settled.NOT_EXACT, string=Settled.CONFLICT_DEAD_LETTER)
    written = json.loads(json.dumps(held.to_json()))
    assert Shape.from_json(1, written) == held
    written["columns"] = [["f", "f", "int"]]
    assert Shape.from_json(1, written) == replace(held, columns={"f": Column(name="f", kind=Kind.INT)})


@pytest.mark.parametrize(("number", "becomes"), [(2**53, Kind.DOUBLE), (-(2**53) - 1, Kind.INT), (1e18, Kind.DOUBLE)])
def test_what_comes_with_the_doubles_must_be_exact_too(number: float, becomes: Kind) -> None:
    seen = Seen()
    seen.add_misfits({"f": {Kind.DOUBLE}}, [{"f": 0.5}, {"f": number, "g": 2**60}, {}], shape(Kind.INT))
    assert decide(shape(Kind.INT), seen, DEFAULT).after.columns["f"].kind is becomes
