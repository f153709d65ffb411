"""Loading a chunk of a table's snapshot, beside the stream and without holding it up.

The chunk is read as of one cluster time, and written with it: a change of the stream that is newer wins, whichever
comes first. What is loaded is noted piece by piece, so that a killed load goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from warp.change import BEGINNING, Operation, TableRef, Write
from warp.config import TableSettings
from warp.destinations.base import Destination, Transaction
from warp.errors import Poison
from warp.metadata.base import DeadLetter
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.sources.base import Piece, Source
from warp.traces import trace
from workers.report import Report
from workers.write import write_all
from workers.writer import Writer, fitting, require_fit


class Loader:
    """Loads chunks. For one thread."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        *,
        settings: Callable[[TableRef], TableSettings],
        report: Report,
    ) -> None:
        self._source = source
        self._destination = destination
        self._writer = Writer(source, destination, settings=settings, report=report)
        self._settings = settings
        self._report = report
        self._log = get_logger(__name__)

    def load(self, ref: TableRef, chunk: int, correlation_id: str, *, going_on: Callable[[], bool]) -> bool:
        """Load what is left of a chunk; returns whether nothing is left for whoever called.

        `going_on` is called after each piece; False stops here, with what is loaded noted. Raises Transient, Fatal or
        ServerUnreachable.
        """
        with self._destination.transaction() as transaction:
            bounds = transaction.lock_chunk(ref, chunk)
        if bounds is None:
            return True
        loaded = 0
        # A member that is behind the others may not know yet what the stream began with, or of the replacement.
        after = max(self._source.now(), self._destination.metadata.begins_at(ref))
        for piece in self._source.read(ref.schema, ref.table, bounds, after, self._settings(ref).fields):
            if not self._write(ref, chunk, piece, correlation_id):
                return True
            loaded += len(piece.documents)
            metrics.SNAPSHOT_ROWS.labels(*ref).inc(len(piece.documents))
            # A piece can be the one document that the last turn ended with: a turn must get beyond it.
            if not going_on() and piece.rest != bounds.lower:
                return False
        with self._destination.transaction() as transaction:
            if transaction.lock_chunk(ref, chunk):
                transaction.unblock(ref)
                transaction.finish_chunk(ref, chunk)
        self._log.info("chunk loaded", table=str(ref), chunk=chunk, documents=loaded, correlation_id=correlation_id)
        return True

    def _write(self, ref: TableRef, chunk: int, piece: Piece, correlation_id: str) -> bool:
        """Write a piece and note it; False: somebody else has the chunk, or has finished it."""
        writes = [Write(key, piece.ts, record) for key, record in piece.documents]

        def work(transaction: Transaction) -> bool:
            if transaction.lock_chunk(ref, chunk) is None:
                return False
            self._put(transaction, ref, writes, correlation_id)
            transaction.unblock(ref)
            transaction.shrink_chunk(ref, chunk, piece.rest, len(writes), first=piece.first)
            return True

        return self._writer.transact(ref, f"first load, chunk {chunk}", work)

    def _put(self, transaction: Transaction, ref: TableRef, writes: Sequence[Write], correlation_id: str) -> None:
        shape = fitting(transaction.shape(ref), writes, (), self._settings(ref))
        if shape is None:
            return
        written, poison = write_all(partial(transaction.load, ref, shape), writes)
        require_fit(shape, written, writes)
        transaction.park([_letter(ref, write, error, correlation_id) for write, error in poison])
        transaction.count_kept(ref, written.kept)
        self._report.wrote(ref, written, len(poison))


def _letter(ref: TableRef, write: Write, error: Poison, correlation_id: str) -> DeadLetter:
    """A document of a snapshot has no change that could be kept: it is read again by its key."""
    return DeadLetter(
        ref=ref,
        key=write.key,
        operation=Operation.INSERT,
        position=BEGINNING,
        ts=write.ts,
        payload=b"",
        error_class=type(error).__name__,
        error=str(error),
        remedy=error.remedy,
        traceback=trace(error),
        correlation_id=correlation_id,
    )
