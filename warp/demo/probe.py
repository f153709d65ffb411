"""How long a change takes from its commit in MongoDB to the visible row in PostgreSQL, measured from outside."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from pymongo import MongoClient

from warp.demo.shop import Document

COLLECTION = "cartridge_warp_probe"
POLL_SECONDS = 0.002
PAUSE_SECONDS = 0.02


class Probe:
    """Inserts one document after another into a collection of its own, and polls for its row.

    The time is taken before the insert, so that it is never too short: the insert itself counts.
    """

    def __init__(self, uri: str, database: str, dsn: str) -> None:
        self._uri = uri
        self._database = database
        self._dsn = dsn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe")
        self._failure: Exception | None = None
        self.samples: list[float] = []
        """Seconds, one for each document that was seen."""

    def prepare(self) -> None:
        """Insert the first document, so that the first load makes the table."""
        with MongoClient[Document](self._uri) as client:
            client[self._database][COLLECTION].insert_one({"_id": 0, "at": datetime.now(UTC)})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            with MongoClient[Document](self._uri) as client, psycopg.connect(self._dsn, autocommit=True) as connection:
                # Acknowledged by the majority, as is the default: else the change waits for the next journal flush.
                collection = client[self._database][COLLECTION]
                query = sql.SQL("SELECT FROM {} WHERE _id = %s").format(sql.Identifier(self._database, COLLECTION))
                number = 0
                while not self._stop.wait(PAUSE_SECONDS):
                    number += 1
                    began = time.perf_counter()
                    collection.insert_one({"_id": number, "at": datetime.now(UTC)})
                    while connection.execute(query, [number]).fetchone() is None:
                        if self._stop.wait(POLL_SECONDS):
                            return
                    self.samples.append(time.perf_counter() - began)
        except Exception as error:
            self._failure = error


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of at least one sample."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]
