"""What travels from a source to a destination: positions, keys, changes and rows.

Every type here is neutral: it knows neither BSON nor SQL. What a value may be is said in `warp.values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from warp.values import Value

TS_COUNTER_BITS = 31
"""A cluster time is one integer, `seconds << 31 | counter`: it sorts, and fits a signed 64-bit column until 2106."""

BEGINNING = ""
"""The position before every other one. Positions are ASCII texts that sort bytewise in stream order."""


def cluster_time(seconds: int, counter: int) -> int:
    """Pack a cluster time of `seconds` since 1970 and a counter within that second into one sortable integer."""
    return seconds << TS_COUNTER_BITS | counter


def cluster_seconds(ts: int) -> int:
    """The seconds since 1970 of a packed cluster time."""
    return ts >> TS_COUNTER_BITS


class Operation(StrEnum):
    """What a change does to its document. An insert, update or replace leaves it existing; a delete does not."""

    INSERT = "insert"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


class KeyKind(StrEnum):
    """How a document key is written. Keys of different kinds are different keys, whatever their text."""

    OBJECT_ID = "objectid"
    STRING = "string"
    INT = "int"
    UUID = "uuid"
    """36 characters, lower case."""
    JSON = "json"
    """Everything else, as canonical Extended JSON: injective, so two keys share a text only if they are one key."""


class Key(NamedTuple):
    """A document key. Two keys are equal exactly where the source holds them equal (8 and 8.0 are one key)."""

    kind: KeyKind
    text: str


PATH = "\0"
"""Between the names of a field inside of an object that has a place of its own in a record: `a`, PATH, `b`. No field's
own name holds a NUL, so that this is never the name of another one, `a.b` or `a_b`."""

Record = Mapping[str, Value]
"""The fields of one document except its key."""


def dotted(field: str) -> str:
    """The name of a field of a record as people write it: `a.b` for `b` inside of `a`."""
    return field.replace(PATH, ".")


class TableRef(NamedTuple):
    """One table: a collection of a MongoDB database and the PostgreSQL table that mirrors it."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


class Partition(NamedTuple):
    """One share of a table's documents: the unit of order and of parallelism. `of` is the number it was routed by."""

    schema: str
    table: str
    number: int
    of: int

    @property
    def ref(self) -> TableRef:
        """The table."""
        return TableRef(self.schema, self.table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}/{self.number}"


class RoutedChange(NamedTuple):
    """A change as the tailer sees it: enough to route it, and its bytes, which only its source can decode."""

    table: str
    key_hash: int
    """The same number for every change of one document; the partition is this modulo the table's partitions."""
    position: str
    ts: int
    raw: bytes


class Change(NamedTuple):
    """A decoded change of one document."""

    position: str
    ts: int
    operation: Operation
    key: Key
    record: Record | None
    """None for a delete, and for an update, whose document is looked up at the source."""
    committed_ms: int
    """When the source committed it, milliseconds since 1970 by the source's clock; 0 where it does not say."""


class Write(NamedTuple):
    """The state of one document to be written, as of `ts`."""

    key: Key
    ts: int
    record: Record


class Delete(NamedTuple):
    """A document that is gone, as of `ts`."""

    key: Key
    ts: int
