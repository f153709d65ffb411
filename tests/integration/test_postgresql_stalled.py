"""A worker that stands still while it sends rows: no time-out of PostgreSQL's ends that, so that others must."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.tables import PARTITION, TABLE, fitted, writes_of
from tests.support.wait import eventually
from warp.destinations.base import Written
from warp.destinations.postgresql import transaction as write_path
from warp.destinations.postgresql.destination import PostgresDestination
from warp.destinations.postgresql.rows import lines
from warp.errors import ServerUnreachable, Transient
from warp.evolution.shape import Shape

ROW = {"a": 1}
WRITES = writes_of(1, {"one": ROW})


def test_a_step_that_stands_still_in_mid_copy_is_ended(
    destination: PostgresDestination, another: PostgresDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = fitted(destination, ROW)

    def frozen(*arguments: Any) -> Iterator[str]:
        """Between the first row and the next the other one comes."""
        yield from lines(*arguments)
        assert another.end_stalled(3600) == 0, "it has only just begun"
        eventually(lambda: another.end_stalled(0) == 1, what="the step ended")
        with another.transaction() as other:
            assert eventually(lambda: other.lock_partition(PARTITION), what="the partition free")
        yield from lines(*arguments)

    monkeypatch.setattr(write_path, "lines", frozen)
    with pytest.raises((ServerUnreachable, Transient)):
        _step(destination, shape)
    monkeypatch.undo()
    assert _step(destination, shape).upserted == 1


def _step(destination: PostgresDestination, shape: Shape) -> Written:
    with destination.transaction() as transaction:
        assert transaction.lock_partition(PARTITION)
        return transaction.upsert(TABLE, shape, WRITES)


def test_who_works_or_waits_for_a_lock_is_left_alone(
    destination: PostgresDestination, another: PostgresDestination
) -> None:
    fitted(destination, ROW)
    with destination.transaction() as one:
        assert one.lock_partition(PARTITION)
        assert another.end_stalled(0) == 0
        assert destination.end_stalled(0) == 0
        one.advance(PARTITION, "A", 1, 1)
    assert destination.metadata.markers(TABLE.schema) == {PARTITION: "A"}
