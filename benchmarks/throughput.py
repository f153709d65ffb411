"""First load and streaming: how fast, and for how many CPU seconds of which process."""

from __future__ import annotations

import time
from collections.abc import Iterable

from benchmarks import floor
from benchmarks.measures import Rate, Results, Size, What
from benchmarks.rig import Rig, used
from benchmarks.workload import Command, inserts, updates
from benchmarks.writer import writer

_WARM_UP = 1000
"""Documents that are mirrored before inserts are streamed, so that the table exists."""


def first_load(size: Size, results: Results) -> None:
    """Documents that exist before the fleet does, from the tailer's start to the last committed row."""
    part = "first load"
    with Rig(size) as rig:
        rig.write(inserts(range(size.documents)))
        with rig.fleet.running():
            started, cpu = time.monotonic(), rig.cpu()
            ended = rig.wait_for(rig.rows_loaded, size.documents)
            results.rates.append(
                Rate(
                    part=part,
                    what=What.LOADED,
                    items=size.documents,
                    seconds=ended - started,
                    cpu=used(cpu, rig.cpu()),
                )
            )
        results.rates.append(floor.upsert(rig, part, size.documents, full=False))


def insert_streaming(size: Size, results: Results) -> None:
    """Inserts as a backlog, then beside a writer, then the floors of the same changes."""
    with Rig(size) as rig:
        first = rig.mirror(_WARM_UP)
        backlog = range(first, first + size.changes)
        _streaming(rig, inserts, backlog, range(backlog.stop, backlog.stop + size.changes), results)


def update_streaming(size: Size, results: Results) -> None:
    """Updates as a backlog, then beside a writer, then the floors of the same changes."""
    with Rig(size) as rig:
        rig.mirror(size.changes)
        _streaming(rig, updates, range(size.changes), range(size.changes), results)


def drain(rig: Rig, part: str, commands: Iterable[Command], changes: int) -> Rate:
    """Write changes while no fleet runs, then start it and see it catch up; it is left running.

    The clock runs from the tailer's start to the last committed change: the way up to full speed counts.
    """
    goal = rig.changes_applied() + changes
    rig.write(commands)
    rig.fleet.start()
    started, cpu = time.monotonic(), rig.cpu()
    ended = rig.wait_for(rig.changes_applied, goal)
    return Rate(part=part, what=What.DRAINED, items=changes, seconds=ended - started, cpu=used(cpu, rig.cpu()))
