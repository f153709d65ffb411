"""What tests of sources do again and again: change documents, and take the changes off a stream."""

from __future__ import annotations

from tests.contract.sources import SourceBench
from tests.support.wait import eventually
from warp.change import Change, Key, KeyKind, RoutedChange
from warp.sources.base import ChangeStream

TABLE = "orders"


def take(stream: ChangeStream, number: int) -> list[RoutedChange]:
    """That many changes, or more if they came in one batch."""
    found: list[RoutedChange] = []

    def enough() -> bool:
        found.extend(stream.next_batch(0.2).changes)
        return len(found) >= number

    eventually(enough)
    return found


def take_all(stream: ChangeStream) -> list[RoutedChange]:
    """What there is, to an empty batch."""
    found: list[RoutedChange] = []
    while batch := stream.next_batch(0.2).changes:
        found.extend(batch)
    return found


def decoded(bench: SourceBench, changes: list[RoutedChange]) -> list[Change]:
    """The changes, decoded."""
    return bench.source.decode(b"".join(change.raw for change in changes))


def some_changes(bench: SourceBench) -> None:
    """Five changes of two documents."""
    bench.insert(TABLE, {"_id": 1, "v": "one"})
    bench.insert(TABLE, {"_id": 2, "v": "two"})
    bench.update(TABLE, 1, v="uno")
    bench.replace(TABLE, {"_id": 2, "v": "due"})
    bench.delete(TABLE, 1)


def key(number: int) -> Key:
    """The key of a number."""
    return Key(KeyKind.INT, str(number))
