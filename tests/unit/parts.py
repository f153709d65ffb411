"""Entries, changes and sent things, made short for tests."""

from __future__ import annotations

from warp.change import Change, Key, KeyKind, Operation, Partition, Record, RoutedChange
from warp.sources.base import StreamPoint
from warp.transport.base import Entry, StoredEntry

PARTITION = Partition("shop", "orders", 0, 1)


def point(position: str) -> StreamPoint:
    """A place in the stream whose time is as large as its position is long."""
    return StreamPoint(position=position, ts=len(position))


def key(number: int) -> Key:
    """The key of a number."""
    return Key(KeyKind.INT, str(number))


def change(
    position: str, number: int, operation: Operation = Operation.INSERT, record: Record | None = None, ts: int = 1
) -> Change:
    """A decoded change of the document of that number."""
    return Change(position, ts, operation, key(number), record, 0)


def routed(position: str, key_hash: int = 0, table: str = "orders", raw: bytes = b"x") -> RoutedChange:
    """A change as a tailer sees it."""
    return RoutedChange(table, key_hash, position, 1, raw)


def entry(
    prev: str, last: str, partition: Partition = PARTITION, *, epoch: str = "tailer:1", payload: bytes = b""
) -> Entry:
    """An entry of one change."""
    return Entry(
        partition=partition, prev=prev, last=last, changes=1, epoch=epoch, correlation_id="cid", payload=payload
    )


def stored(*entries: Entry) -> list[StoredEntry]:
    """Entries as they lie in a log."""
    return [StoredEntry(str(number), item) for number, item in enumerate(entries)]
