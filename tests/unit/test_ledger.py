"""Counting what is kept in `_extra`: its work grows with the fields that are counted, and not faster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import psycopg

from warp.change import TableRef
from warp.metadata import ledger

FIELDS = 200


class Row(tuple[Any, ...]):
    """A row that counts how often it is hashed."""

    hashed = 0

    def __hash__(self) -> int:
        Row.hashed += 1
        return super().__hash__()


def test_rows_that_are_there_are_looked_at_once_and_not_for_each_field() -> None:
    rows = [Row((f"f{number}", "null")) for number in range(FIELDS)]
    connection = SimpleNamespace(execute=lambda *_: SimpleNamespace(fetchall=lambda: rows))
    kept = {(f"f{number}", "null"): 1 for number in range(FIELDS)}
    ledger.count(cast(psycopg.Connection, connection), TableRef("shop", "orders"), 0, kept)
    assert Row.hashed == FIELDS
