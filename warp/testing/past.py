"""What the in-memory source held before: every state of its documents can be had again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from warp.change import Key, TableRef

Held = dict[str, Any]
"""A document, its key among its fields."""


class _Before(NamedTuple):
    """What a document was until `ts`; None: it did not exist."""

    ts: int
    ref: TableRef
    key: Key
    document: Held | None


class Past:
    """What each change has put an end to, in order."""

    def __init__(self, begun: int) -> None:
        """`begun` is when there was nothing yet."""
        self._begun = begun
        self._ended: list[_Before] = []

    def note(self, ts: int, ref: TableRef, key: Key, document: Held | None) -> None:
        """Until `ts` the document was this."""
        self._ended.append(_Before(ts, ref, key, document))

    def note_all(self, ts: int, ref: TableRef, before: dict[Key, Held], after: dict[Key, Held]) -> None:
        """Until `ts` the table held other documents."""
        for key in before.keys() | after.keys():
            self.note(ts, ref, key, before.get(key))

    def before_newest(self, changes: int) -> int | None:
        """When the last change was made before the newest so many; None: that is now."""
        if not changes:
            return None
        return self._ended[-changes - 1].ts if changes < len(self._ended) else self._begun

    def at(self, ts: int, ref: TableRef, held: Mapping[Key, Held]) -> dict[Key, Held]:
        """The documents of a table as they were at `ts`; `held` are those of now."""
        documents = dict(held)
        for before in reversed(self._ended):
            if before.ts <= ts:
                break
            if before.ref != ref:
                continue
            if before.document is None:
                documents.pop(before.key, None)
            else:
                documents[before.key] = before.document
        return documents

    def __len__(self) -> int:
        return len(self._ended)

    def undo(self, length: int) -> None:
        """Forget what was noted since there was so much of it."""
        del self._ended[length:]
