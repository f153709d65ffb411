"""Records as the in-memory destination stores them."""

from __future__ import annotations

from warp.change import Record
from warp.destinations.base import Written
from warp.destinations.kept import note
from warp.evolution.shape import Shape
from warp.sources.base import StoredJson, StoredRow
from warp.values import Kind, Structured, Value, exact_json, kind_of


def row_of(shape: Shape, record: Record, written: Written) -> StoredRow:
    """The row of a record: the value of a column that fits, or exact JSON; what is kept so is noted."""
    fields: dict[str, Value | StoredJson] = {}
    for name, value in record.items():
        column = shape.columns.get(name)
        if column is not None and _fits(kind_of(value), column.kind):
            fields[name] = StoredJson(value.text) if isinstance(value, Structured) else value
        else:
            fields[name] = StoredJson(exact_json(value).decode())
            note(written, name, value, column)
    return fields


def _fits(kind: Kind | None, column: Kind) -> bool:
    if column is Kind.ANY:
        return kind is not None
    return kind is (Kind.STRING if column is Kind.TEXT else column)
