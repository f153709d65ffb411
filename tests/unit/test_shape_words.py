"""What `schema history` and `schema diff` say of widened columns, and of what was settled about them."""

from __future__ import annotations

from warp.change import KeyKind
from warp.cli.shapes import changes_to_json, in_words
from warp.evolution.compare import difference
from warp.evolution.rules import Settled
from warp.evolution.shape import Column, Shape
from warp.values import Kind


def shape(**columns: Column) -> Shape:
    return Shape(version=1, key_kind=KeyKind.INT, columns=columns)


def column(kind: Kind, **settled: Settled) -> Column:
    return Column(name="amount", kind=kind, settled={Kind(value): rule for value, rule in settled.items()})


def test_a_column_that_became_another_is_told_with_what_is_settled() -> None:
    before = shape(amount=column(Kind.INT, string=Settled.CONFLICT_EXTRA))
    after = shape(amount=column(Kind.DECIMAL, double=Settled.REWRITE_NEVER, bool=Settled.CONFLICT_DEAD_LETTER))
    assert list(in_words(difference(before, after))) == [
        "~ amount int became amount decimal",
        "~ amount decimal: double values stay in _extra (rewrite: never)",
        "~ amount decimal: bool values make dead letters (conflict: dead_letter)",
    ]
    [changed] = changes_to_json(difference(before, after))["changed"]
    assert changed == {
        "before": {"field": "amount", "column": "amount", "kind": "int", "settled": {"string": "conflict: extra"}},
        "after": {
            "field": "amount",
            "column": "amount",
            "kind": "decimal",
            "settled": {"double": "rewrite: never", "bool": "conflict: dead_letter"},
        },
    }


def test_what_is_only_settled_is_told_alone() -> None:
    open_again, settled = shape(amount=column(Kind.INT)), shape(amount=column(Kind.INT, double=Settled.NOT_EXACT))
    assert list(in_words(difference(open_again, settled))) == [
        "~ amount int: double values stay in _extra (not exact as double)"
    ]
    assert list(in_words(difference(settled, open_again))) == [
        "~ amount int: double values are not settled any more (not exact as double)"
    ]
