"""How long a single insert takes from its commit in MongoDB to its row in PostgreSQL, while little else happens."""

from __future__ import annotations

import time

from psycopg import sql

from benchmarks.fleet import FleetFailed
from benchmarks.measures import Latency, Results, Size
from benchmarks.rig import STALL_SECONDS, Rig
from benchmarks.workload import COLLECTION, DATABASE, order

INSERTS = 500
INSERTS_PER_SECOND = 50
_WARM_UP = 1000
_POLL_SECONDS = 0.001


def latency(size: Size, results: Results) -> None:
    """Insert evenly for ten seconds, and look for new rows about every two milliseconds."""
    with Rig(size) as rig:
        first = rig.mirror(_WARM_UP)
        with rig.fleet.running():
            seconds = sorted(_watched(rig, first))
    results.latency = Latency(
        changes=len(seconds),
        p50=seconds[len(seconds) // 2],
        p99=seconds[len(seconds) * 99 // 100],
        worst=seconds[-1],
    )


def _watched(rig: Rig, first: int) -> list[float]:
    """Seconds from MongoDB's answer to each insert to the first query that finds its row."""
    orders = rig.mongodb[DATABASE][COLLECTION]
    new_rows = sql.SQL("SELECT number FROM {} WHERE number >= %s").format(sql.Identifier(DATABASE, COLLECTION))
    committed: list[float] = []
    visible: dict[int, float] = {}
    missing = first
    started = time.monotonic()
    while len(visible) < INSERTS:
        due = started + len(committed) / INSERTS_PER_SECOND
        if len(committed) < INSERTS and time.monotonic() >= due:
            orders.insert_one(order(first + len(committed)))
            committed.append(time.monotonic())
        rows = rig.postgresql.execute(new_rows, [missing]).fetchall()
        seen = time.monotonic()
        for (number,) in rows:
            visible.setdefault(number, seen)
        while missing in visible:
            missing += 1
        if seen > due + STALL_SECONDS:
            raise FleetFailed(f"no new row for {STALL_SECONDS:.0f} seconds, after {len(visible)} of {INSERTS}")
        rig.fleet.check()
        time.sleep(_POLL_SECONDS)
    return [visible[first + number] - at for number, at in enumerate(committed)]
