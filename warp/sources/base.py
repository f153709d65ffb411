"""The contract of a source: what the tailer, the workers and `verify` may rely on, whatever the database.

An implementation passes `tests/contract/test_source.py`. Times are packed cluster times (`warp.change.cluster_time`);
positions are ASCII texts that sort bytewise in stream order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from warp.change import Change, Key, Record, RoutedChange
from warp.errors import NotMirrored
from warp.layouts import Form
from warp.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """A table as the source has it now; the figures are its own estimates."""

    name: str
    documents: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPoint:
    """A place in the change stream. Everything at or before it has been handed out, nothing after it has.

    `ts` is a cluster time that is not after any change that follows.
    """

    position: str
    ts: int


class TableFate(StrEnum):
    """What happened to a whole table."""

    DROPPED = "dropped"
    """It is gone, or goes by another name now, with every document that it had."""
    REPLACED = "replaced"
    """It has other documents now, which the stream has not named: it must be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEvent:
    """Something that happened to a whole table at `ts`: its changes before that are void."""

    table: str
    fate: TableFate
    ts: int
    cause: str
    """What the source calls it, in a few words: "drop", "rename of drafts to articles"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBatch:
    """What the stream had at hand. An empty batch means: nothing more for now, up to `end`."""

    changes: Sequence[RoutedChange]
    end: StreamPoint
    source_ts: int
    """The source's latest cluster time when it answered."""
    events: Sequence[TableEvent] = ()
    """What happened to whole tables between the first and the last change. Their `ts` says which changes they void."""

    passed_over: Sequence[NotMirrored] = ()
    """What happened as well, but cannot be handed out: for a person to read."""


class ChangeStream(Protocol):
    """All document changes of one schema, in order, from a point on; each at least once, none left out.

    Changes of one document come in the order in which the source made them, and `position` never goes back.
    """

    point: StreamPoint
    """Where the stream stands: before the first batch, the place it was opened at."""

    def next_batch(self, max_wait: float) -> StreamBatch:
        """The next changes, waiting up to `max_wait` seconds for the first of them.

        Raises StreamLost where the source has thrown away what follows `point`, StreamInvalid where the stream must be
        opened again (the source ended it or went away), Transient where the server cannot answer now.
        """

    def close(self) -> None:
        """Give the server's cursor back. May be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A range of a table's keys, `lower` ≤ key < `upper`, in the source's own bytes; None is open on that side."""

    lower: bytes | None
    upper: bytes | None


class AsOf(NamedTuple):
    """Some documents as they were at exactly `ts`."""

    ts: int
    documents: Sequence[tuple[Key, Record]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some documents of a range, in order of key, as they were at exactly `ts`; never empty."""

    documents: Sequence[tuple[Key, Record]]
    first: bytes
    """The lower bound of a range that begins with the first of them."""
    rest: bytes
    """The lower bound of what comes after them; it may begin with the last of them."""
    ts: int


class Inspected(NamedTuple):
    """A document to be looked at, and how many bytes it has at the source, which a filter does not change."""

    key: Key
    record: Record
    size: int


Document = object
"""A document as its source holds it, for `Source.differences` alone."""


@dataclass(frozen=True, slots=True)
class StoredJson:
    """JSON as a destination gives it back, from a column or from `_extra`."""

    text: str


StoredRow = Mapping[str, Value | StoredJson]
"""The fields of a row that its document has, key aside: the value of a column, or JSON."""


class Source(Protocol):
    """A database that can be read whole and followed. One object is used by one thread at a time.

    Where a method takes `fields`, records are of that form: they hold only what its filter lets through, with the masks
    that it puts on, laid out as in their table; without one they are as their documents.
    """

    def now(self) -> int:
        """The source's latest cluster time. Reads asked to be `after` it see everything written before this call."""

    def tables(self, schema: str) -> list[SourceTable]:
        """The tables of a schema that can be mirrored, without system tables and views, in order of name."""

    def unmirrored(self, schema: str) -> dict[str, NotMirrored]:
        """The tables of a schema that would be mirrored if the source told of their changes, by a name to show."""

    def open_stream(self, schema: str, after: StreamPoint | None) -> ChangeStream:
        """Follow a schema from just after a point, or from now on.

        Raises StreamLost where the source no longer has what follows the point.
        """

    def headroom_seconds(self, ts: int) -> float | None:
        """How long until a change made at `ts` is no longer in the source's log, at its recent rate of writing.

        Counted from now; None where the source does not say.
        """

    def decode(self, payload: bytes, fields: Form | None = None) -> list[Change]:
        """Decode `RoutedChange.raw` bytes, any number of them joined, back into changes, in order.

        Never fails for a value that the source can hold: what has no better form is `Opaque`.
        """

    def extract(self, payload: bytes, position: str) -> bytes:
        """The bytes of the one change at that position, out of a payload that `decode` takes."""

    def describe(self, payload: bytes) -> str:
        """What the bytes of one change say, whole, as canonical Extended JSON: for a person to read."""

    def key_hash(self, key: Key) -> int:
        """The same number as `RoutedChange.key_hash` of every change of that document."""

    def lookup(
        self,
        schema: str,
        table: str,
        keys: Sequence[Key],
        after: int,
        fields: Form | None = None,
        *,
        decoding: Callable[[int], object] = lambda _: None,
    ) -> Iterator[AsOf]:
        """The documents of those keys, in pieces of bounded size; all as of one time, `after` or later.

        A key that did not exist then is left out. `decoding` is told how many bytes are decoded next: about a
        megabyte, or one document.
        """

    def split(self, schema: str, table: str, documents: int) -> Iterator[Chunk]:
        """Ranges that together hold every key there can be, of about `documents` present documents each."""

    def read(self, schema: str, table: str, chunk: Chunk, after: int, fields: Form | None = None) -> Iterator[Piece]:
        """All documents of a range, in order of key, in pieces of bounded size; all as of one time, `after` or later.

        Raises Transient, too, where a long reading has outlived the source's memory of that time.
        """

    def inspect(
        self, schema: str, table: str, what: Chunk | int, fields: Form | None = None
    ) -> Iterator[list[Inspected]]:
        """Documents to be looked at, in lists of bounded size: all of a range in order of key, as of one time, or about
        so many of the table, chosen at random, each once; all of them where there are no more."""

    def scan(self, schema: str, table: str, chunk: Chunk) -> Iterator[list[tuple[Key, Document]]]:
        """All documents of a range, for comparison with rows, in lists of bounded size."""

    def fetch(self, schema: str, table: str, keys: Sequence[Key]) -> dict[Key, Document]:
        """The documents of those keys that exist now, for comparison with rows."""

    def differences(self, document: Document, key: Key, row: StoredRow, fields: Form | None = None) -> tuple[str, ...]:
        """The names of the fields in which the document rebuilt from a row is not this document; empty: equal.

        Order of fields and width of numbers aside (8, 8 as long and 8.0 are equal).
        """

    def close(self) -> None:
        """Give back every connection. May be called twice."""
