"""Jobs of dead letters in memory: `warp.transport.base.LetterJobs` over a broker, which may lose them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from warp.testing.hook import Hook, passing
from warp.testing.transport import HeldJob, MemoryBroker
from warp.transport.base import LetterJob
from warp.transport.keys import REPLAY_SECONDS


class MemoryLetterJobs:
    """See `warp.transport.base.LetterJobs` for the contract of `settle` and `fail`."""

    def __init__(self, broker: MemoryBroker, *, hook: Hook = passing) -> None:
        self._broker = broker
        self._hook = hook
        self._suspects: set[int] = set()

    def failed(self) -> dict[int, LetterJob]:
        """The failed jobs, as a person sees them."""
        return {number: job.letter for number, job in self._jobs.items() if job.state == "failed"}

    def requeue(self, number: int) -> None:
        """Press the button of a failed job."""
        self._hook("letters.requeue")
        self._jobs[number].state = "queued"

    def take(self) -> int | None:
        """The next letter that is to be replayed, as a worker takes it off its queue; None: there is none."""
        self._hook("letters.take")
        for number, job in self._jobs.items():
            if job.state == "queued":
                job.state, job.expires = "started", self._broker.clock() + 2 * REPLAY_SECONDS
                return number
        return None

    def finish(self, number: int, traceback: str | None) -> None:
        """Say what came of a replay that was taken; None: it succeeded."""
        self._hook("letters.finish")
        job = self._jobs.pop(number, None)
        if job is not None and traceback is not None:
            self._jobs[number] = HeldJob(job.letter._replace(traceback=traceback))

    def settle(self, schema: str, opened: Collection[int]) -> list[int]:
        self._hook("letters.settle")
        ours = {number: job for number, job in self._jobs.items() if job.letter.ref.schema == schema}
        lost = {
            number for number, job in ours.items() if job.state == "started" and job.expires <= self._broker.clock()
        }
        confirmed, self._suspects = lost & self._suspects, lost - self._suspects
        for number, job in ours.items():
            if number in confirmed or (job.state == "failed" and number not in opened):
                del self._jobs[number]
        return [number for number in opened if number not in self._jobs]

    def fail(self, jobs: Sequence[LetterJob]) -> int:
        self._hook("letters.fail")
        new = [letter for letter in jobs if letter.number not in self._jobs]
        self._jobs.update((letter.number, HeldJob(letter)) for letter in new)
        return len(new)

    @property
    def _jobs(self) -> dict[int, HeldJob]:
        return self._broker.state.letters
