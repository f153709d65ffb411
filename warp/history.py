"""Rows of tables that keep their history: one for each change, in the order in which it happened, never altered.

Of one document, rows are in order of `ts`, and among those of one time in order of `position`: the last of them says
what the document is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from warp.change import Key, Record, Write

FIRST = ""
"""The position of a row that stands before all changes of its time: what ended then had ended before them."""
LAST = "~"
"""The position of a row that stands after all changes of its time: what was read as of a time holds all of them."""


class Event(StrEnum):
    """What a row says of its document."""

    INSERT = "insert"
    UPDATE = "update"
    """The document was looked up later, and may be newer."""
    REPLACE = "replace"
    DELETE = "delete"
    LOAD = "load"
    """A load has read it."""
    GONE = "gone"
    """A load has not met it any more: it was deleted unseen, before that time."""
    DROP = "drop"
    """It went with its table, which the source dropped or renamed."""


ENDS = frozenset({Event.DELETE, Event.GONE, Event.DROP})
"""After these the document is there no more."""


class HistoryRow(NamedTuple):
    """A row to append."""

    key: Key
    ts: int
    position: str
    event: Event
    record: Record | None
    """None: there is no document, or it was gone when it was looked up."""
    record_ts: int | None
    """As of when the record is; None where there is none."""


def loaded(write: Write) -> HistoryRow:
    """The row of a document that was read whole."""
    return HistoryRow(write.key, write.ts, LAST, Event.LOAD, write.record, write.ts)
