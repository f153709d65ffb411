"""Failed jobs for open dead letters: kept equal to what PostgreSQL says, whatever is done to them in Redis."""

from __future__ import annotations

import time
from collections.abc import Callable

from warp.metadata.base import LetterFilter, LetterState, Metadata, StoredLetter
from warp.transport.base import LetterJob, LetterJobs

LOOK_SECONDS = 3.0
MOST = 1000
"""The newest of a schema's open letters have jobs; older ones get theirs as those are settled."""


class Letters:
    """Shows the dead letters of one schema. `tick` is harmless however often, and by however many, it is called."""

    def __init__(
        self, schema: str, metadata: Metadata, jobs: LetterJobs, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` in seconds, only ever growing."""
        self._schema = schema
        self._metadata = metadata
        self._jobs = jobs
        self._clock = clock
        self._next_look = 0.0

    def tick(self) -> int:
        """One round, if it is time for one; returns how many jobs were made."""
        if self._clock() < self._next_look:
            return 0
        self._next_look = self._clock() + LOOK_SECONDS
        missing = self._jobs.settle(self._schema, self._metadata.open_letters(self._schema, MOST))
        if not missing:
            return 0
        still_open = LetterFilter(numbers=missing, state=LetterState.OPEN)
        return self._jobs.fail([_job(stored) for stored in self._metadata.letters(still_open, None)])


def _job(stored: StoredLetter) -> LetterJob:
    letter = stored.letter
    return LetterJob(
        number=stored.number,
        ref=letter.ref,
        description=f"dead letter {stored.number}: {letter.operation} in {letter.ref}, key of kind {letter.key.kind}: "
        f"{letter.error_class}: {letter.error}",
        traceback=letter.traceback or f"{letter.error_class}: {letter.error}",
        parked_at=stored.parked_at,
    )
