"""Reading both sides once: every document with its row, then the rows that have no document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from warp.change import Key, TableRef
from warp.destinations.base import Destination
from warp.errors import Fatal
from warp.layouts import Form
from warp.retry import Response, response
from warp.sources.base import Document, Source
from warp.verify.compare import compare
from warp.verify.result import Suspect, Tally, Verdict

MOST_SUSPECTS = 100_000
"""Suspects that are kept for a schema, to be looked at again; any beyond them count as they were seen."""
CHUNK = 100_000
"""Documents in one range: a source may not keep a cursor, or what it reads from, for as long as a large table takes."""
FETCH = 1_000
"""Documents that are fetched by key at once."""


def find_suspects(
    source: Source,
    destination: Destination,
    schema: str,
    progress: Callable[[str, int], None],
    fields: Callable[[str], Form | None],
    mirrors: Callable[[str], bool],
) -> list[Tally]:
    """A tally for each table of either side, in order of name, with what needs another look as its suspects.

    Of a table that is not mirrored, nothing is read.
    """
    walker = _Walker(source, destination, progress, fields)
    unmirrored = source.unmirrored(schema)
    names = {table.name for table in source.tables(schema)} | destination.tables(schema).keys() | unmirrored.keys()
    tallies = []
    for name in sorted(names):
        ref = TableRef(schema, name)
        if not mirrors(name):
            tallies.append(Tally(ref, excluded=True))
        elif name in unmirrored:
            tallies.append(Tally(ref, error=str(unmirrored[name])))
        else:
            tallies.append(walker.table(ref))
    return tallies


class _Walker:
    def __init__(
        self,
        source: Source,
        destination: Destination,
        progress: Callable[[str, int], None],
        fields: Callable[[str], Form | None],
    ) -> None:
        self._fields = fields
        self._source = source
        self._destination = destination
        self._progress = progress
        self._room = MOST_SUSPECTS

    def table(self, ref: TableRef) -> Tally:
        tally = Tally(ref)
        try:
            self._walk(tally)
        except Fatal as error:
            if response(error) is not Response.BLOCK:
                raise
            # What ails one table says nothing about the others.
            tally.suspects.clear()
            tally.error = str(error)
        return tally

    def _walk(self, tally: Tally) -> None:
        ref = tally.ref
        compared = 0
        only = self._fields(ref.table)
        with_row = _KeySet()
        for documents in self._documents(ref):
            rows = self._destination.rows(ref, [key for key, _ in documents])
            for key, document in documents:
                self._note(tally, key, compare(self._source, key, document, rows.get(key), only))
            with_row.add(rows)
            compared += len(documents)
            self._progress(ref.table, compared)
        self._find_extra(tally, with_row)
        tally.kept_rows = self._destination.kept(ref)

    def _documents(self, ref: TableRef) -> Iterator[list[tuple[Key, Document]]]:
        for chunk in self._source.split(*ref, CHUNK):
            yield from self._source.scan(*ref, chunk)

    def _note(self, tally: Tally, key: Key, found: Verdict | Suspect) -> None:
        if isinstance(found, Verdict):
            tally.count(key, found, ())
        elif self._room > 0:
            self._room -= 1
            tally.suspects[key] = found
        else:
            tally.count(key, found.verdict, found.fields)

    def _find_extra(self, tally: Tally, with_row: _KeySet) -> None:
        """Rows without a document. Only where the keys of all rows are not the keys that were met is each looked up."""
        there = _KeySet()
        for keys in self._destination.keys(tally.ref):
            there.add(keys)
        if there == with_row:
            return
        for keys in self._destination.keys(tally.ref):
            for start in range(0, len(keys), FETCH):
                self._look_up(tally, keys[start : start + FETCH])

    def _look_up(self, tally: Tally, keys: Sequence[Key]) -> None:
        documents = self._source.fetch(*tally.ref, keys)
        for key in keys:
            if key not in documents and key not in tally.suspects:
                self._note(tally, key, compare(self._source, key, None, {}))


@dataclass(slots=True)
class _KeySet:
    """A set of distinct keys in constant memory: two are equal where the sets are, but for a chance of 2 to the -64."""

    size: int = 0
    total: int = 0

    def add(self, keys: Iterable[Key]) -> None:
        """Add keys that are not in it."""
        for key in keys:
            self.size += 1
            self.total += hash(key)
