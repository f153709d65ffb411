"""Documents as lines of COPY text: the worker's hot path on the way into PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import orjson

from warp.change import Write
from warp.destinations.postgresql.names import extra_name, key_cell
from warp.destinations.postgresql.page import Page
from warp.destinations.postgresql.types import NULL, encoders, escape
from warp.evolution.shape import Shape
from warp.values import Opaque, Value, exact_json

KEY, TS, EXTRA = "_id", "_warp_ts", "_extra"
OWN_COLUMNS = (KEY, TS, EXTRA)
"""The columns that every table has, in front of the document's own; soft deletion adds two more."""


def columns(shape: Shape) -> list[str]:
    """The columns of a line of `lines`, in order."""
    return [*OWN_COLUMNS, *(column.name for column in shape.columns.values())]


def lines(shape: Shape, writes: Iterable[Write], kept: Counter[tuple[str, str]]) -> Iterator[str]:
    """One line for each document; values that go to `_extra` are counted in `kept` by field and reason."""
    slots = {
        name: (index, encoders(column.kind).get)
        for index, (name, column) in enumerate(shape.columns.items(), len(OWN_COLUMNS))
    }
    slot_of = slots.get
    blank = [NULL] * (len(OWN_COLUMNS) + len(slots))
    fields = list(slots)
    page = Page(shape)
    always_fits = page.always_fits
    for key, ts, record in writes:
        cells = blank.copy()
        extra: dict[str, Value] | None = None
        for name, value in record.items():
            slot = slot_of(name)
            if slot is not None:
                encoder = slot[1](value.__class__)
                if encoder is not None:
                    text = encoder(value)
                    if text is not None:
                        cells[slot[0]] = text
                        continue
            if extra is None:
                extra = {}
            extra[name] = value
            kept[name, _reason(value, slot is not None)] += 1
        if not always_fits:
            for index in page.overflow(cells[len(OWN_COLUMNS) :]):
                cells[index + len(OWN_COLUMNS)] = NULL
                extra = extra or {}
                extra[fields[index]] = record[fields[index]]
                kept[fields[index], "row_too_wide"] += 1
        cells[0] = escape(key_cell(shape, key))
        cells[1] = str(ts)
        if extra is not None:
            cells[2] = escape(_extra(extra))
        yield "\t".join(cells)


def _extra(values: dict[str, Value]) -> str:
    """`_extra` as JSON: each value in canonical Extended JSON under the name of its field."""
    fields = [orjson.dumps(extra_name(name)) + b":" + exact_json(value) for name, value in values.items()]
    return (b"{" + b",".join(fields) + b"}").decode()


def _reason(value: Value, has_column: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, Opaque):
        return value.reason
    return "does_not_fit" if has_column else "no_column"
