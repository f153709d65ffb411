"""Documents as lines of COPY text: the worker's hot path on the way into PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from warp.change import Write
from warp.destinations.base import Written
from warp.destinations.kept import note
from warp.destinations.postgresql.names import extra_name, fits_key_column, key_cell, key_type
from warp.destinations.postgresql.page import Page
from warp.destinations.postgresql.types import NULL, encoders, escape, readable
from warp.errors import Poison
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.history import HistoryRow
from warp.values import Kind, Value, exact_json

KEY, TS, EXTRA = "_id", "_warp_ts", "_extra"
OWN_COLUMNS = (KEY, TS, EXTRA)
"""The columns that every table has, in front of the document's own; soft deletion adds two more."""
HISTORY_COLUMNS = ("position", "operation", "doc_ts")
"""What a row of a history has behind them."""


def columns(shape: Shape) -> list[str]:
    """The columns of a line of `lines`, or `history_lines`, in order."""
    more = HISTORY_COLUMNS if shape.layout is Layout.HISTORY else ()
    return [*OWN_COLUMNS, *(column.name for column in shape.columns.values()), *more]


def require_keys(shape: Shape, states: Iterable[Write | HistoryRow]) -> None:
    """Raises Poison where PostgreSQL has refused to let the key column take the key of one of these."""
    if not shape.key_refused:
        return
    for state in states:
        if not fits_key_column(shape, state.key):
            raise Poison(
                f"_id of kind {state.key.kind} does not fit the key column {key_type(shape).as_string()}, which "
                f"PostgreSQL refuses to make text: {shape.key_refused}",
                remedy="drop what rests on the column _id (a view, a foreign key, an index, a publication's WHERE); "
                "then: cartridge-warp dlq replay, which tries again",
            )


def lines(shape: Shape, writes: Iterable[Write], written: Written) -> Iterator[str]:
    """One line for each document; what goes to `_extra` is noted in `written`, as `kept` and as `misfits`."""
    slots = {
        name: (index, encoders(column.kind).get, column)
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
            if slot is None:
                note(written, name, value, None)
            else:
                note(written, name, value, slot[2])
                if slot[2].kind is Kind.TEXT:
                    cells[slot[0]] = readable(value) or NULL
        if not always_fits:
            for index in page.overflow(cells[len(OWN_COLUMNS) :]):
                cells[index + len(OWN_COLUMNS)] = NULL
                extra = extra or {}
                # The value of a text may be there already, and counted.
                if fields[index] not in extra:
                    extra[fields[index]] = record[fields[index]]
                    written.kept[fields[index], "row_too_wide"] += 1
        cells[0] = escape(key_cell(shape, key))
        cells[1] = str(ts)
        if extra is not None:
            cells[2] = escape(_extra(extra))
        yield "\t".join(cells)


def _extra(values: dict[str, Value]) -> str:
    """`_extra` as JSON: each value in canonical Extended JSON under the name of its field."""
    fields = [orjson.dumps(extra_name(name)) + b":" + exact_json(value) for name, value in values.items()]
    return (b"{" + b",".join(fields) + b"}").decode()
