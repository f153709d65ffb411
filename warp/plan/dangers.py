"""Documents that are dangerously large, in one way or another: how many there are, and the keys of some of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from warp.change import Key
from warp.sources.base import Inspected

LARGE_BYTES = 1_000_000
"""From here on one document is a noticeable part of a step, and each update writes all of it anew."""
HUGE_BYTES = 8 * 2**20
"""Half of what a change event may hold: one with the document before and after can be too large to be sent."""
MOST_KEYS = 5


class Danger(StrEnum):
    """What is too much of a document."""

    HUGE = "over 8 MB"
    """Its change events may exceed 16 MB: its document is looked up then, and the stream goes slower meanwhile."""
    LARGE = "over 1 MB"
    """Each change of it moves all of it."""
    WIDE = "more fields than max_columns"
    """Those beyond have no columns."""
    LONG_KEY = "key too long for an index"
    """It may become a dead letter."""


@dataclass(slots=True, kw_only=True)
class Endangered:
    """The documents to which one danger applies. `most`: bytes, fields, or bytes of the key, of the largest of them."""

    documents: int = 0
    most: int = 0
    keys: list[str] = field(default_factory=list)
    """Of the first MOST_KEYS of them."""

    def add(self, key: Key, amount: int) -> None:
        """Count a document."""
        self.documents += 1
        self.most = max(self.most, amount)
        if len(self.keys) < MOST_KEYS:
            self.keys.append(key.text)


class Dangers:
    """The documents of one table."""

    def __init__(self, max_columns: int) -> None:
        self._max_columns = max_columns
        self.largest = 0
        """Bytes of the largest document."""
        self.found: dict[Danger, Endangered] = {danger: Endangered() for danger in Danger}

    def add(self, documents: Iterable[Inspected], key_lengths: Iterable[tuple[Key, int]]) -> None:
        """Look at some documents, and at the keys among them that are too long, with their lengths."""
        for key, record, size in documents:
            self.largest = max(self.largest, size)
            if size > HUGE_BYTES:
                self.found[Danger.HUGE].add(key, size)
            elif size > LARGE_BYTES:
                self.found[Danger.LARGE].add(key, size)
            if len(record) > self._max_columns:
                self.found[Danger.WIDE].add(key, len(record))
        for key, length in key_lengths:
            self.found[Danger.LONG_KEY].add(key, length)
