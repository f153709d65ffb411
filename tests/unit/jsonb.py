"""What PostgreSQL's jsonb makes of JSON, for tests without a server (tests/integration holds it to the server)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class _Numeric(str):
    """A number, by its digits."""


def stored(text: str | bytes) -> str:
    """JSON as jsonb gives it back: numbers become `numeric`, written in full. Raises ValueError for U+0000."""
    return _written(json.loads(text, parse_float=_numeric, parse_int=_numeric))


def _numeric(digits: str) -> _Numeric:
    number = f"{Decimal(digits):f}"
    return _Numeric(number.removeprefix("-") if not Decimal(number) else number)


def _written(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{_written(name)}:{_written(item)}" for name, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
        case _Numeric():
            return str(value)
        case str() if "\0" in value:
            raise ValueError("jsonb refuses U+0000")
        case _:
            return json.dumps(value)
