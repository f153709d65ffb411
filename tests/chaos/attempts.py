"""Attempts at writes that end when one is acknowledged, whatever becomes of the primary meanwhile.

Every attempt takes stamps of its own, so that one whose outcome is unknown harms nothing. What MongoDB refuses for
another reason than its own state is a defect of the workload, and raised.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError

from tests.chaos.operations import Document, Operation, Request
from warp.retry import backoff

# mongo/src/mongo/base/error_codes.yml: host or network away, not primary, interrupted, shutting down, write concern not
# waited for, transaction gone or in conflict.
_PASSING = frozenset({6, 7, 24, 64, 79, 89, 91, 100, 112, 189, 246, 251, 262, 9001, 10107, 11600, 11602, 13435, 13436})

MAJORITY = WriteConcern("majority")
Bulk = tuple[Collection[Document], Sequence[Operation]]


class Record:
    """The stamps, and which of them ended which documents."""

    def __init__(self) -> None:
        self._stamps = count(1)
        self._lock = threading.Lock()
        self._ended: dict[str, list[int]] = defaultdict(list)

    @property
    def ended(self) -> Mapping[str, Sequence[int]]:
        """By name of the document the stamps of all attempts to delete it, growing, noted before they are made."""
        return self._ended

    def stamp(self, operation: Operation | None = None) -> int:
        """The number of a new attempt, which leaves this stamp behind or ends all states with lower ones."""
        with self._lock:
            stamp = next(self._stamps)
            if operation is not None and operation.kind.deletes:
                for doc in operation.docs:
                    insort(self._ended[doc], stamp)
            return stamp


class Attempts:
    """Carries out operations on one client's collections."""

    def __init__(self, client: MongoClient[Document], record: Record, give_up: threading.Event) -> None:
        """`give_up`: raise what an attempt raised instead of making another."""
        self._client = client
        self._record = record
        self._give_up = give_up

    def bulk(self, collection: Collection[Document], operations: Sequence[Operation]) -> None:
        """One bulk write, unordered where every operation is of other documents."""
        docs = [doc for operation in operations for doc in operation.docs]
        ordered = len(set(docs)) < len(docs)
        arranged = arrange(operations)
        self._until_done(lambda again: collection.bulk_write(self._requests(arranged, again), ordered=ordered))

    def transaction(self, bulks: Sequence[Bulk]) -> None:
        """Several bulk writes, all of them or nothing."""

        def carry_out(again: bool) -> None:
            with self._client.start_session() as session, session.start_transaction(write_concern=MAJORITY):
                for collection, operations in bulks:
                    collection.bulk_write(self._requests(operations, again), session=session)

        self._until_done(carry_out)

    def find_and_modify(self, collection: Collection[Document], operation: Operation) -> None:
        """One operation of one document as a findAndModify."""
        self._until_done(lambda _: operation.find_and_modify(collection, self._record.stamp(operation)))

    def _requests(self, operations: Sequence[Operation], again: bool) -> list[Request]:
        return [operation.request(self._record.stamp(operation), again=again) for operation in operations]

    def _until_done(self, attempt: Callable[[bool], object]) -> None:
        waits = backoff()
        again = False
        while True:
            try:
                attempt(again)
                return
            except PyMongoError as error:
                if self._give_up.is_set() or not _passing(error):
                    raise
            again = True
            self._give_up.wait(next(waits))


def arrange(operations: Sequence[Operation]) -> list[Operation]:
    """The same in another order, that of each document's operations kept: few runs of one kind instead of many.

    An ordered bulk write becomes one command for each run, and every command waits for a majority.
    """
    turns: dict[str, int] = defaultdict(int)
    arranged = []
    for operation in operations:
        turn = max(turns[doc] for doc in operation.docs)
        turns |= dict.fromkeys(operation.docs, turn + 1)
        arranged.append((turn, operation.command, operation))
    return [operation for _, _, operation in sorted(arranged, key=lambda item: item[:2])]


def _passing(error: PyMongoError) -> bool:
    """Whether it says something of the server's state, and nothing of the write."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        troubles = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        return bool(troubles) and all(trouble["code"] in _PASSING for trouble in troubles)
    if isinstance(error, OperationFailure):
        return error.code in _PASSING or error.has_error_label("TransientTransactionError")
    return isinstance(error, ConnectionFailure)
