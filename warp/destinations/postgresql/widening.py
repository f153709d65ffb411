"""Columns given another type, with the rows that are there: each keeps exactly the values that it has.

What the new type cannot hold, and in a text column everything but strings, is put into `_extra` by the same statement.
The right-hand sides of one ALTER TABLE all see the row as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from warp.destinations.postgresql.names import extra_name
from warp.destinations.postgresql.rows import EXTRA
from warp.destinations.postgresql.types import ANY_INEXACT_FROM, ANY_INEXACT_TO, SQL_TYPES
from warp.evolution.misfits import EXACT_IN_DOUBLE
from warp.evolution.shape import Column
from warp.values import Kind

_BASE64 = "jsonb_build_object('$binary', jsonb_build_object('base64', translate(encode({}, 'base64'), E'\\n', ''), {}))"
_BYTES = _BASE64.format("{0}", "'subType', '00'")
_UUID = _BASE64.format("uuid_send({0})", "'subType', '04'")
_MILLISECONDS = "jsonb_build_object('$date', jsonb_build_object('$numberLong', {}))".format(
    "(round(extract(epoch FROM {0}) * 1000)::bigint)::text"
)
_ISO = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
_NO_DECIMAL = "scale({0}) = 0 AND length(rtrim(abs({0})::text, '0')) > 34"
"""Numbers with more digits than a Decimal128 has: doubles, of which a decimal column takes those that are whole."""
_DECIMAL = f"CASE WHEN {_NO_DECIMAL} THEN {{1}} ELSE jsonb_build_object('$numberDecimal', {{0}}::text) END"
_OBJECT_ID = "jsonb_build_object('$oid', {0})"
_WHOLE = "CASE WHEN {0}::text ~ '^-?[0-9]+$' THEN {0}::text || '.0' ELSE {0}::text END"

_EXACT = {
    Kind.BOOL: "to_jsonb({0})",
    Kind.INT: "jsonb_build_object('$numberLong', {0}::text)",
    Kind.DOUBLE: f"jsonb_build_object('$numberDouble', {_WHOLE})",
    Kind.DECIMAL: _DECIMAL.format("{0}", "jsonb_build_object('$numberDouble', {0}::double precision::text)"),
    Kind.OBJECT_ID: _OBJECT_ID,
    Kind.BINARY: _BYTES,
    Kind.UUID: _UUID,
    Kind.TIMESTAMP: _MILLISECONDS,
    Kind.JSON: "{0}",
}
"""Values of a column, each kind, as they stand in `_extra`."""

_TEXT = {
    Kind.BINARY: "'\\x' || encode({0}, 'hex')",
    Kind.TIMESTAMP: _ISO,
}
"""Kinds whose text depends on settings of the session."""

_ANY = {
    Kind.BOOL: "to_jsonb({0})",
    Kind.INT: "to_jsonb({0})",
    Kind.DOUBLE: "to_jsonb({0})",
    Kind.DECIMAL: _DECIMAL.format("{0}", "to_jsonb({0}::double precision)"),
    Kind.STRING: "to_jsonb({0})",
    Kind.OBJECT_ID: _OBJECT_ID,
    Kind.BINARY: _BYTES,
    Kind.UUID: _UUID,
    Kind.TIMESTAMP: f"CASE WHEN {{0}} < to_timestamp(0) THEN {_MILLISECONDS} ELSE "
    f"jsonb_build_object('$date', replace({_ISO}, '.000Z', 'Z')) END",
}
"""Values of a column as relaxed Extended JSON."""

_ANY_DOUBLES = (
    "{0} NOT IN ('NaN', 'Infinity', '-Infinity') AND {0}::text <> '-0' "
    f"AND NOT (abs({{0}}) >= {ANY_INEXACT_FROM:.0f} AND abs({{0}}) < {ANY_INEXACT_TO:.0f})"
)
"""Those that jsonb holds exactly."""
_INTS_IN_DOUBLE = f"{{0}} BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}"


def actions(widened: Mapping[str, tuple[Column, Column]]) -> Iterator[sql.Composed]:
    """What ALTER TABLE does for columns that become of another kind, by the name of the field: before and after."""
    scalars: list[sql.Composed] = []
    objects: list[sql.Composed] = []
    for field, (before, after) in widened.items():
        if before.kind in (Kind.STRING, Kind.JSON) and SQL_TYPES[before.kind] == SQL_TYPES[after.kind]:
            continue
        value = sql.Identifier(before.name)
        holds, into = _conversion(before.kind, after.kind)
        yield sql.SQL("ALTER COLUMN {0} TYPE {1} USING CASE WHEN {0} IS NOT NULL AND {2} THEN {3} END").format(
            value, sql.SQL(SQL_TYPES[after.kind]), _of(holds, value), _of(into, value)
        )
        stays = _ALL if after.kind is Kind.TEXT else f"NOT ({holds})"
        if before.kind in _EXACT and stays != f"NOT ({_ALL})":
            name, exact = sql.Literal(extra_name(field)), _of(_EXACT[before.kind], value)
            shape = _OBJECT if before.kind is Kind.JSON else _PAIR
            (objects if before.kind is Kind.JSON else scalars).append(
                sql.SQL(shape).format(value, _of(stays, value), name, exact)
            )
    batches = [scalars[start : start + _MOST_PAIRS] for start in range(0, len(scalars), _MOST_PAIRS)]
    added = [*map(_with_pairs, batches), *objects]
    if added:
        yield sql.SQL("ALTER COLUMN {0} TYPE jsonb USING nullif(coalesce({0}, '{{}}') || {1}, '{{}}')").format(
            sql.Identifier(EXTRA), sql.SQL(" || ").join(added)
        )


_ALL = "true"
_PAIR = "{2}, CASE WHEN {0} IS NOT NULL AND {1} THEN {3} END"
_OBJECT = "CASE WHEN {0} IS NOT NULL AND {1} THEN jsonb_build_object({2}, {3}) ELSE '{{}}' END"
_MOST_PAIRS = 50
"""A function takes 100 arguments."""


def _with_pairs(pairs: Sequence[sql.Composed]) -> sql.Composed:
    """Those that are no null. Together, for each `||` copies all there is; an object may hold nulls of its own."""
    return sql.SQL("jsonb_strip_nulls(jsonb_build_object({}))").format(sql.SQL(", ").join(pairs))


def not_exact_in_double(column: Column) -> sql.Composed:
    """The condition that a row of an int column has a number that a double may not hold."""
    return sql.SQL("NOT ({})").format(_of(_INTS_IN_DOUBLE, sql.Identifier(column.name)))


def _conversion(before: Kind, after: Kind) -> tuple[str, str]:
    """For which values the new type is exact, and each of them in it."""
    match after:
        case Kind.TEXT:
            return _ALL, _TEXT.get(before, "{0}::text")
        case Kind.ANY:
            return _ANY_DOUBLES if before is Kind.DOUBLE else _ALL, _ANY[before]
        case Kind.DOUBLE:
            return _INTS_IN_DOUBLE, "{0}::double precision"
        case _:
            return _ALL, f"{{0}}::{SQL_TYPES[after]}"


def _of(expression: str, value: sql.Identifier) -> sql.Composed:
    """An expression with the column in it."""
    return sql.SQL(expression).format(value)
