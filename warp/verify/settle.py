"""Looking at suspects again, until each is known to be equal or known to be a difference.

A suspect is **equal** as soon as its row is the state of the document that was read just before the row was.

A suspect is a **difference** where all of this holds:

- document and row have looked exactly the same on at least LOOKS looks in a row;
- T, a cluster time taken after the first of these looks, has been passed by the checkpoint, which moves past a change
  only when that change is applied. The checkpoint must be *after* T: several changes may share one cluster time.

For then every change that led to this state of the document is applied, and the row is still another one. (A document
that keeps going to and fro between the very same two states could in theory be met at the wrong moments each time;
hence several looks.)

Whatever is neither when patience ends is counted as a difference too: the mirror stands still, or does not keep up.
Identical therefore always means that each row was seen to be its document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from warp.change import Key
from warp.destinations.base import Destination
from warp.layouts import Form
from warp.sources.base import Source
from warp.verify.compare import compare
from warp.verify.result import Tally, Verdict
from warp.verify.walk import FETCH

LOOKS = 3
POLL_SECONDS = 0.25
"""The wait between two looks."""
MOMENTS = (0.0, 0.02, 0.1)
"""Seconds between reading the documents and reading their rows, in turn: a document that is being changed all the time
is met by its row a moment later, if at all."""


def settle_suspects(
    source: Source,
    destination: Destination,
    schema: str,
    tallies: Sequence[Tally],
    *,
    patience: float,
    clock: Callable[[], float],
    wait: Callable[[float], object],
    fields: Callable[[str], Form | None],
) -> None:
    """Look at the suspects of all tallies for up to `patience` seconds, and count each as what it turns out to be."""
    deadline = clock() + patience
    looks = _Looks(source, destination, wait, fields)
    for moment in cycle(MOMENTS):
        looks.look_at_all(schema, tallies, moment)
        if clock() >= deadline or not any(tally.suspects for tally in tallies):
            break
        wait(POLL_SECONDS)
    for tally in tallies:
        for key, suspect in tally.suspects.items():
            tally.count(key, suspect.verdict, suspect.fields)
        tally.suspects.clear()


class _Looks:
    def __init__(
        self,
        source: Source,
        destination: Destination,
        wait: Callable[[float], object],
        fields: Callable[[str], Form | None],
    ) -> None:
        self._fields = fields
        self._source = source
        self._destination = destination
        self._wait = wait

    def look_at_all(self, schema: str, tallies: Sequence[Tally], moment: float) -> None:
        state = self._destination.metadata.schema(schema)
        applied = state.checkpoint.ts if state else 0
        batches = [
            (tally, keys[start : start + FETCH])
            for tally in tallies
            for keys in (list(tally.suspects),)
            for start in range(0, len(keys), FETCH)
        ]
        for tally, keys in batches:
            # Shared out, so that many suspects do not add up to a long wait.
            self._look(tally, keys, applied, moment / len(batches))

    def _look(self, tally: Tally, keys: Sequence[Key], applied: int, moment: float) -> None:
        """Read documents, and a moment later their rows; count what is certain, and note how the others look now.

        `applied`: every change before this cluster time was applied before the look began.
        """
        documents = self._source.fetch(*tally.ref, keys)
        if moment:
            self._wait(moment)
        rows = self._destination.rows(tally.ref, keys)
        now = self._source.now()
        only = self._fields(tally.ref.table)
        for key in keys:
            before = tally.suspects.pop(key)
            found = compare(self._source, key, documents.get(key), rows.get(key), only)
            if isinstance(found, Verdict):
                tally.count(key, found, ())
                continue
            if found.fingerprint == before.fingerprint:
                found.looks, found.since = before.looks + 1, before.since
            if found.since is None:
                found.since = now
            if found.looks >= LOOKS and applied > found.since:
                tally.count(key, found.verdict, found.fields)
            else:
                tally.suspects[key] = found
