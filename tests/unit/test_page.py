"""Which values of a wide row go to `_extra`: by the room that each can take, in the order of the columns."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from warp.change import Key, KeyKind, Record, Write
from warp.destinations.base import Written
from warp.destinations.postgresql.page import ROW_BYTES, Page
from warp.destinations.postgresql.rows import lines
from warp.destinations.postgresql.types import NULL
from warp.evolution.shape import Column, Shape
from warp.values import Kind

KEY = Key(KeyKind.STRING, "a")


def shape(number: int, *kinds: Kind) -> Shape:
    """So many columns, of those kinds in turn."""
    columns = {f"f{each}": Column(name=f"f{each}", kind=kinds[each % len(kinds)]) for each in range(number)}
    return Shape(version=1, key_kind=KeyKind.STRING, columns=columns)


def extra(shape: Shape, record: Record) -> tuple[list[str], Counter[tuple[str, str]]]:
    """The names in `_extra` of a record's row, and what was counted."""
    written = Written()
    [line] = lines(shape, [Write(KEY, 1, record)], written)
    cell = line.split("\t")[2]
    return ([] if cell == NULL else list(orjson.loads(cell))), written.kept


@pytest.mark.parametrize(
    ("number", "kinds", "fits"),
    [
        (500, (Kind.INT,), True),
        (521, (Kind.DOUBLE,), False),
        (325, (Kind.STRING,), True),
        (326, (Kind.STRING,), False),
        (1590, (Kind.BOOL,), True),
        (488, (Kind.UUID,), False),
    ],
)
def test_most_shapes_always_fit(number: int, kinds: tuple[Kind, ...], fits: bool) -> None:
    assert Page(shape(number, *kinds)).always_fits is fits


def test_the_last_numbers_go() -> None:
    wide = shape(1500, Kind.INT)
    names, kept = extra(wide, {f"f{number}": number for number in range(1500)})
    fitting = (ROW_BYTES - 7) // 8
    assert names == [f"f{number}" for number in range(fitting, 1500)]
    assert kept == {(name, "row_too_wide"): 1 for name in names}


def test_what_is_in_extra_anyway_is_counted_once() -> None:
    wide = shape(800, Kind.TEXT)
    names, kept = extra(wide, {f"f{number}": 2**60 for number in range(800)})
    assert sorted(names) == sorted(wide.columns)
    assert kept == {(name, "text"): 1 for name in names}


def test_what_is_null_takes_no_room() -> None:
    wide = shape(1500, Kind.INT)
    assert extra(wide, {f"f{number}": number for number in range(900, 1500)}) == ([], Counter())


def test_short_texts_take_their_length_and_long_ones_a_pointer() -> None:
    wide = shape(1000, Kind.STRING)
    assert extra(wide, {f"f{number}": "1234" for number in range(1000)})[0] == []
    assert len(extra(wide, {f"f{number}": "x" * 1000 for number in range(1000)})[0]) == 1000 - ROW_BYTES // 24
    assert len(extra(wide, {f"f{number}": "ä" * 10 for number in range(1000)})[0]) == 1000 - ROW_BYTES // 21


def test_a_number_after_a_text_may_take_padding() -> None:
    mixed = shape(1000, Kind.STRING, Kind.INT)
    record: Record = {f"f{number}": "x" if number % 2 == 0 else number for number in range(1000)}
    names, _ = extra(mixed, record)
    fitting = ROW_BYTES // (2 + 15) * 2
    assert names[0] in (f"f{fitting}", f"f{fitting + 1}")


def test_what_still_fits_stays_behind_what_does_not() -> None:
    wide = shape(600, *[Kind.INT] * 599, Kind.BOOL)
    columns = dict(wide.columns) | {f"g{number}": Column(name=f"g{number}", kind=Kind.JSON) for number in range(300)}
    columns |= {"last": Column(name="last", kind=Kind.BOOL)}
    record: Record = {**{f"f{number}": number for number in range(599)}, "last": True}
    assert extra(Shape(version=1, key_kind=KeyKind.STRING, columns=columns), record) == ([], Counter())
