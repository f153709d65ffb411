"""Which types the values of each field have, in as many documents as come, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from warp.change import Record
from warp.values import KIND_OF, Opaque, Structured, Value

MOST_FIELDS = 2_000
"""Fields of a table that are told apart: more than there can be columns."""
MOST_NAMES = 100_000
"""Names of fields beyond those that are counted."""

_PLAIN: dict[type, str] = {kind: name.value for kind, name in KIND_OF.items()} | {datetime: "date", type(None): "null"}
_OF_EXACT = re.compile(rb'\{"\$([A-Za-z0-9]+)":')
_AS_IN_COLUMNS = {"numberDecimal": "decimal"}
"""What a type of Extended JSON is called otherwise here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTypes:
    """One field: in how many documents it stands, and how many of its values are of each type, the most first."""

    field: str
    present: int
    types: dict[str, int]


class Histogram:
    """The fields of the documents of one table."""

    def __init__(self) -> None:
        self.documents = 0
        self._fields: dict[str, defaultdict[object, int]] = {}
        self._beyond: defaultdict[object, int] = defaultdict(int)
        self._names: set[int] = set()

    def add(self, records: Iterable[Record]) -> None:
        """Count the values of some documents."""
        fields = self._fields
        for record in records:
            self.documents += 1
            for name, value in record.items():
                counts = fields.get(name)
                if counts is None:
                    counts = self._begun(name)
                kind: object = value.__class__
                counts[kind if kind in _PLAIN else type_of(value)] += 1

    def fields(self) -> list[FieldTypes]:
        """The fields in the order in which they came."""
        return [
            FieldTypes(field=name, present=sum(counts.values()), types=_named(counts))
            for name, counts in self._fields.items()
        ]

    def tells_apart(self, field: str) -> bool:
        """Whether a field is among those of `fields`."""
        return field in self._fields

    def beyond(self) -> tuple[int, dict[str, int]]:
        """How many more fields there are, MOST_NAMES at most, and the types of their values."""
        return len(self._names), _named(self._beyond)

    def _begun(self, name: str) -> defaultdict[object, int]:
        if len(self._fields) < MOST_FIELDS:
            return self._fields.setdefault(name, defaultdict(int))
        if len(self._names) < MOST_NAMES:
            self._names.add(hash(name))
        return self._beyond


def type_of(value: Value) -> str:
    """A word for the type of a value: that of the column that it asks for, else the one of Extended JSON."""
    match value:
        case Structured():
            return "array" if value.text.startswith("[") else "object"
        case Opaque(reason="not_json"):
            return "array" if value.text.startswith(b"[") else "object"
        case Opaque():
            found = _OF_EXACT.match(value.text)
            name = found[1].decode() if found else value.reason
            return _AS_IN_COLUMNS.get(name, name)
        case _:
            return _PLAIN[value.__class__]


def _named(counts: dict[object, int]) -> dict[str, int]:
    named: Counter[str] = Counter()
    for kind, number in counts.items():
        named[_PLAIN[kind] if isinstance(kind, type) else str(kind)] += number
    return dict(named.most_common())
