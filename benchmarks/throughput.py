"""First load and streaming: how fast, and for how many CPU seconds of which process."""

from __future__ import annotations

from benchmarks import floor
from benchmarks.measures import Rate, Results, Size, What
from benchmarks.rig import Rig
from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import inserts, updates
from benchmarks.writer import Kind, writer

_WARM_UP = 1000
"""Documents that are mirrored before inserts are streamed, so that the table exists."""


def first_load(size: Size, results: Results) -> None:
    """Documents that exist before the fleet does, from the tailer's start to the last committed row."""
    part = "first load"
    with Rig(size) as rig:
        rig.write(inserts(range(size.documents)))
        with rig.fleet.running():
            watch = Stopwatch(rig)
            ended = rig.wait_for(rig.rows_loaded, size.documents)
            results.rates.append(watch.rate(part, What.LOADED, size.documents, ended=ended))
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


def caught_up(rig: Rig, part: str, goal: int, changes: int) -> Rate:
    """How a fleet that has just been started gets through a backlog, until so many changes in all are applied.

    The clock runs from the tailer's start to the last commit: the way up to full speed counts.
    """
    watch = Stopwatch(rig)
    return watch.rate(part, What.DRAINED, changes, ended=rig.wait_for(rig.changes_applied, goal))


def _streaming(rig: Rig, kind: Kind, backlog: range, live: range, results: Results) -> None:
    part = kind.__name__
    begin, applied, written = rig.cluster_time(), rig.changes_applied(), rig.rows_written()
    rig.write(kind(backlog))
    with rig.fleet.running():
        results.rates.append(caught_up(rig, part, applied + len(backlog), len(backlog)))
        results.rates += _live(rig, kind, live)
    results.coalescing[part] = (len(backlog) + len(live)) / (rig.rows_written() - written)
    results.rates.append(floor.stream(rig, part, begin, len(backlog)))
    results.rates.append(floor.upsert(rig, part, len(backlog), full=kind is updates))


def _live(rig: Rig, kind: Kind, numbers: range) -> list[Rate]:
    """From the writer's first change to the last commit."""
    part, changes = kind.__name__, len(numbers)
    goal = rig.changes_applied() + changes
    with writer(rig.uri, kind, numbers) as process:
        watch = Stopwatch(rig, client=process.pid)
        process.go()
        beside = watch.rate(part, What.LIVE, changes, ended=rig.wait_for(rig.changes_applied, goal))
        alone = process.seconds()
    return [beside, Rate(part=part, what=What.WRITER, items=changes, seconds=alone)]
