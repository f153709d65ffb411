"""Changes as rows of a table that keeps its history: every one of them, none coalesced. Pure: no I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from warp.change import BEGINNING, Change, Key, Operation, Record, Write
from warp.history import Event, HistoryRow, loaded

Told = tuple[Change, HistoryRow]
"""A change, and what is to be kept of it."""


def is_looked_up(change: Change) -> bool:
    """Whether the change does not carry the document that it left."""
    return change.record is None and change.operation is not Operation.DELETE


def told(
    changes: Iterable[Change], look_up: Callable[[Sequence[Change]], Iterable[Sequence[Write]]]
) -> Iterator[list[Told]]:
    """The rows of all changes, in lists of bounded size. Each document is looked up once, as of its last change here;
    all of its changes that do not carry it get what is found, and none where nothing is.

    A change at BEGINNING stands for a document that a load could not write: it is loaded, if it is there.
    """
    carried: list[Told] = []
    waiting: dict[Key, list[Change]] = {}
    for change in changes:
        if is_looked_up(change):
            waiting.setdefault(change.key, []).append(change)
        else:
            carried.append((change, _row(change, change.record, change.ts)))
    yield carried
    for writes in look_up([of_one[-1] for of_one in waiting.values()]):
        yield [(change, _found(change, write)) for write in writes for change in waiting.pop(write.key)]
    missing = [change for of_one in waiting.values() for change in of_one]
    yield [(change, _row(change, None, change.ts)) for change in missing if change.position != BEGINNING]


def _found(change: Change, write: Write) -> HistoryRow:
    return loaded(write) if change.position == BEGINNING else _row(change, write.record, write.ts)


def _row(change: Change, record: Record | None, record_ts: int) -> HistoryRow:
    event = Event(change.operation.value)
    as_of = None if record is None else record_ts
    return HistoryRow(change.key, change.ts, change.position, event, record, as_of)
