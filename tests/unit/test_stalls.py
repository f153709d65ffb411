"""When a schema counts as stalled, why, and when its position is about to outlive its oplog."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from warp.change import TableRef, cluster_time
from warp.metadata.base import Block, SchemaState, SnapshotState, TableState
from warp.monitoring.health import checks_of
from warp.monitoring.stalls import Around, Trouble, short_headroom, stalled
from warp.monitoring.status import SchemaStatus, State
from warp.sources.base import StreamPoint
from warp.transport.base import Backlog

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
PATIENCE = 60.0
TABLE = TableState(
    ref=TableRef("shop", "orders"),
    target_name="orders",
    partitions=1,
    snapshot=SnapshotState.DONE,
    documents_estimate=0,
    chunks=0,
    chunks_loaded=0,
    rows_loaded=0,
    changes_applied=0,
    open_letters=0,
    floor=0,
    settled=0,
    blocked=None,
)
BLOCKED = replace(TABLE, blocked=Block(reason="a column is gone", remedy="bring it back", since=NOW))
WAITING = Around(source_ts=cluster_time(SECONDS, 1), backlog=Backlog(1234, 99), workers=2, high_water_mark=1000)


def state(*, still_for: float, behind: int, saved_ago: float = 0.5) -> SchemaState:
    """A checkpoint that has not moved for so long, and is so many seconds behind the source."""
    at = cluster_time(SECONDS - behind, 0)
    return SchemaState(
        name="shop",
        start_ts=1,
        checkpoint=StreamPoint(position="82", ts=at),
        checkpointed_at=NOW - timedelta(seconds=saved_ago),
        advanced_at=NOW - timedelta(seconds=still_for),
        source_ts=at,
    )


def reason(state: SchemaState, around: Around = WAITING, *tables: TableState) -> str | None:
    trouble = stalled(state, tables or [TABLE], around, NOW, PATIENCE)
    return trouble.reason if trouble else None


def test_a_checkpoint_that_stands_still_while_the_source_goes_on_is_a_stall() -> None:
    assert reason(state(still_for=61, behind=61)) is not None
    assert reason(state(still_for=60, behind=60)) is None, "not yet"


def test_a_slow_schema_that_moves_has_not_stalled() -> None:
    assert reason(state(still_for=3, behind=7200)) is None


def test_an_idle_source_has_not_stalled_its_schema() -> None:
    assert reason(state(still_for=86_400, behind=0)) is None
    assert reason(state(still_for=11, behind=10)) is None, "its time moves in steps"


def test_while_the_source_is_away_nobody_can_say() -> None:
    assert reason(state(still_for=3600, behind=3600), replace(WAITING, source_ts=None)) is None


@pytest.mark.parametrize(
    ("around", "tables", "saved_ago", "why", "remedy"),
    [
        (
            WAITING,
            [BLOCKED],
            40,
            "no tailer follows it, its checkpoint was last saved 40 s ago",
            "tailer --schema shop",
        ),
        (WAITING, [TABLE, BLOCKED], 1, "nothing can be applied to orders: a column is gone", "bring it back"),
        (WAITING, [BLOCKED] * 5, 1, "nothing can be applied to orders, orders, orders, …: ", "bring it back"),
        (replace(WAITING, backlog=None), [TABLE], 1, "its logs cannot be reached", "Redis"),
        (replace(WAITING, workers=0), [TABLE], 1, "1,234 changes wait in its logs, and there is no worker", "worker"),
        (WAITING, [TABLE], 1, "1,234 changes wait in its logs, and the workers do not get on", "logs"),
        (
            replace(WAITING, workers=0, backlog=Backlog(9, 1000)),
            [TABLE],
            1,
            "9 changes wait in its logs, which are full, so that its tailer waits, and there is no worker",
            "cartridge-warp worker",
        ),
        (replace(WAITING, backlog=Backlog(0, 0)), [TABLE], 1, "its tailer does not get on", "log"),
    ],
)
def test_a_stall_says_why_and_what_to_do(
    around: Around, tables: list[TableState], saved_ago: float, why: str, remedy: str
) -> None:
    trouble = stalled(state(still_for=75, behind=75, saved_ago=saved_ago), tables, around, NOW, PATIENCE)
    assert trouble is not None
    assert trouble.reason.startswith(f"nothing has got on for 75 s: {why}")
    assert remedy in (trouble.remedy or "")


@pytest.mark.parametrize(
    ("headroom", "says"),
    [(10_440.0, "the token dies in 2.9 h"), (120.0, "the token dies in 2 min"), (-5.0, "the token dies in 0 min")],
)
def test_a_token_that_dies_soon_says_when(headroom: float, says: str) -> None:
    trouble = short_headroom(headroom, 3)
    assert trouble is not None
    assert f"at this lag {says} (monitoring.min_oplog_headroom_hours is 3)" in trouble.reason
    assert "replSetResizeOplog" in (trouble.remedy or "")


def test_headroom_that_is_enough_unknown_or_not_asked_for_is_no_trouble() -> None:
    assert short_headroom(10_800.0, 3) is None
    assert short_headroom(None, 3) is None
    assert short_headroom(0.0, 0) is None


def test_readiness_names_every_trouble() -> None:
    trouble = Trouble(reason="nothing has got on", remedy="start workers")
    status = SchemaStatus(
        name="shop",
        state=State.STALLED,
        lag_seconds=75,
        backlog_changes=9,
        oplog_headroom_seconds=60,
        checkpoint_age_seconds=1,
        stalled=trouble,
        headroom_short=short_headroom(60, 1),
        tables=(),
        errors=(),
        notes=(),
    )
    assert [(check.name, check.ok) for check in checks_of(status)] == [
        ("schema shop", False),
        ("oplog for shop", False),
    ]
    assert next(checks_of(status)).to_json() == {
        "name": "schema shop",
        "ok": False,
        "reason": "nothing has got on",
        "remedy": "start workers",
    }
    well = replace(status, stalled=None, headroom_short=None)
    assert [check.to_json() for check in checks_of(well)] == [{"name": "schema shop", "ok": True}]
