"""A worker that writes records into one table, which evolves as they need it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import orjson

from tests.integration.tables import TABLE, key
from warp.change import Change, Operation, Record
from warp.config import TableSettings
from warp.destinations.base import PartitionState, Written
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Poison
from warp.evolution.shape import Column, Shape
from warp.sources.base import StoredJson, StoredRow
from warp.testing import MemorySource
from warp.values import Structured
from workers.report import Report
from workers.writer import Writer

SETTINGS = TableSettings(batch_size=100, deletion_strategy="hard", partitions=1)


@dataclass
class Worker:
    """Writes records as changes of the stream, as an apply step does."""

    destination: PostgresDestination
    settings: TableSettings = SETTINGS
    ts: int = 0

    def write(self, **records: Record) -> tuple[Written, list[Poison]]:
        """Write documents by their keys; what was refused comes back."""
        self.ts += 1
        changes = [
            Change(f"{self.ts:04}{place}", self.ts, Operation.INSERT, key(name), record, 0)
            for place, (name, record) in enumerate(records.items())
        ]
        state = PartitionState(position="", partitions=1, snapshot_open=False)
        writer = Writer(MemorySource(), self.destination, settings=lambda _: self.settings, report=Report())
        written, poison = writer.transact(
            TABLE, "test", lambda transaction: writer.write(transaction, TABLE, changes, state, "cid")
        )
        return written, [error for _, error in poison]

    def shape(self) -> Shape:
        """The table's present shape."""
        return self.destination.tables(TABLE.schema)[TABLE.table]

    def column(self, field: str = "v") -> Column:
        """A column's present shape."""
        return self.shape().columns[field]

    def holds(self, **records: Record) -> bool:
        """Whether the rows of those keys are those documents."""
        rows = self.destination.rows(TABLE, [key(name) for name in records])
        return {each.text: _exact(row) for each, row in rows.items()} == {
            name: _exact(record) for name, record in records.items()
        }


def _exact(row: StoredRow | Record) -> dict[str, object]:
    """What a row or a record comes to, numbers by their value."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: object) -> object:
    match value:
        case StoredJson():
            value = orjson.loads(value.text)
        case Structured():
            value = orjson.loads(value.text)
    match value:
        case {"$numberLong": digits} | {"$numberDecimal": digits} | {"$numberDouble": digits}:
            return Decimal(digits)
        case float():
            return Decimal(repr(value))
        case _:
            return value
