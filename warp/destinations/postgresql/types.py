"""Which PostgreSQL type a column kind has, and each value as COPY text of such a column, or not at all.

A value that does not fit its column exactly is never bent until it does: its encoder returns None, and the row keeps
it in `_extra`. COPY text format: PostgreSQL manual, COPY, "Text Format".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from warp.values import Kind, ObjectIdText, Structured

SQL_TYPES = {
    Kind.BOOL: "boolean",
    Kind.INT: "bigint",
    Kind.DOUBLE: "double precision",
    Kind.DECIMAL: "numeric",
    Kind.STRING: "text",
    Kind.OBJECT_ID: "text",
    Kind.BINARY: "bytea",
    Kind.UUID: "uuid",
    Kind.TIMESTAMP: "timestamp with time zone",
    Kind.JSON: "jsonb",
}

NULL = "\\N"
_SPECIAL = re.compile(r"[\\\n\r\t]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_EXACT_IN_DOUBLE = 2**53
_INT64_END = 2**63

Encoder = Callable[[Any], str | None]


def escape(text: str) -> str:
    """A text as COPY wants it."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text)


def _text(value: str) -> str | None:
    if value.isprintable() and "\\" not in value:
        return value
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return None
    return escape(value)


def _int_in_double(value: int) -> str | None:
    return str(value) if -_EXACT_IN_DOUBLE <= value <= _EXACT_IN_DOUBLE else None


def _double_in_int(value: float) -> str | None:
    if value.is_integer() and -_INT64_END <= value < _INT64_END and not (value == 0 and str(value) == "-0.0"):
        return str(int(value))
    return None


def _timestamp(value: datetime) -> str:
    return value.isoformat(" ") + "+00"


_ENCODERS: dict[Kind, dict[type, Encoder]] = {
    Kind.BOOL: {bool: lambda value: "t" if value else "f"},
    Kind.INT: {int: str, float: _double_in_int},
    Kind.DOUBLE: {float: repr, int: _int_in_double},
    Kind.DECIMAL: {Decimal: str, int: str},
    Kind.STRING: {str: _text},
    Kind.OBJECT_ID: {ObjectIdText: str},
    Kind.BINARY: {bytes: lambda value: "\\\\x" + value.hex()},
    Kind.UUID: {UUID: str},
    Kind.TIMESTAMP: {datetime: _timestamp},
}


def _json(value: Structured) -> str:
    return escape(value.text) if "\\" in value.text else value.text


def encoders(kind: Kind) -> Mapping[type, Encoder]:
    """The encoders of a column of that kind, by the class of the value; one that is absent does not fit."""
    if kind is Kind.JSON:
        return dict.fromkeys(Structured.__subclasses__(), _json)
    return _ENCODERS[kind]
