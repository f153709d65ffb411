"""The demonstration's writer, a process of its own: `python -m warp.demo.writer`, until SIGTERM.

It changes documents at a bounded rate: mostly in batches, now and then one alone or some in a transaction. Its last
line on stdout says, as JSON, how many documents it changed, by kind of change.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from typing import Any

from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.results import BulkWriteResult

from warp.demo.shop import Document
from warp.demo.workload import FilesWorkload, ShopWorkload, Workload
from warp.process import Stop

BATCH = 100
_SINGLE = 0.25
"""How often, of all rounds, one document is changed alone."""
_TRANSACTION = 0.10


class Writer:
    """Carries a workload out."""

    def __init__(self, database: Database[Document], workload: Workload, seed: int) -> None:
        self._database = database
        self._workload = workload
        self._rng = random.Random(seed)
        self.done: Counter[str] = Counter()
        """Documents changed, by kind of change; transactions count besides."""

    def round(self) -> int:
        """Do something; returns how many documents were changed."""
        before = self.changes
        choice = self._rng.random()
        if choice < _TRANSACTION:
            self._transaction()
        else:
            name, operations = self._workload.some(1 if choice < _TRANSACTION + _SINGLE else BATCH)
            self._count(self._database[name].bulk_write(operations, ordered=False))
        return self.changes - before

    @property
    def changes(self) -> int:
        """Documents changed so far."""
        return self.done.total() - self.done["transactions"]

    def _transaction(self) -> None:
        operations = self._workload.together()

        def carry_out(session: ClientSession) -> list[BulkWriteResult]:
            return [self._database[name].bulk_write(some, session=session) for name, some in operations.items()]

        with self._database.client.start_session() as session:
            for result in session.with_transaction(carry_out):
                self._count(result)
        self.done["transactions"] += 1

    def _count(self, result: BulkWriteResult) -> None:
        self.done["inserts"] += result.inserted_count
        self.done["updates and replaces"] += result.modified_count
        self.done["deletes"] += result.deleted_count


def write(uri: str, database: str, order: dict[str, Any]) -> None:
    """Write until SIGTERM. `order`: "rate" in changes a second, "seed", and "sizes" of the shop or "collections"."""
    stop = Stop().install()
    rate, seed = order["rate"], order["seed"]
    with MongoClient[Document](uri) as client:
        workload: Workload = (
            ShopWorkload(order["sizes"], seed)
            if "sizes" in order
            else FilesWorkload(client[database], order["collections"], seed)
        )
        writer = Writer(client[database], workload, seed)
        due = time.monotonic()
        while not stop.wait(due - time.monotonic()):
            # A rest is not caught up with: that would be a burst.
            due = max(due, time.monotonic() - 1.0) + writer.round() / rate
    print(json.dumps(writer.done))


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
