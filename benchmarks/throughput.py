"""First load and streaming: how fast, and for how many CPU seconds of which process."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks import floor
from benchmarks.report import Rate
from benchmarks.rig import SCHEMA, Rig, Size
from benchmarks.workload import inserts, updates
from benchmarks.writer import write, writer

_WARM_UP_DOCUMENTS = 1000
"""Mirrored before inserts are streamed, so that the table exists."""


def first_load(size: Size) -> list[Rate]:
    """Documents that exist before the fleet does, from the tailer's start to the last committed row."""
    with Rig(size) as rig:
        rig.insert(range(size.documents))
        with rig.fleet.running():
            started, cpu = time.monotonic(), rig.cpu()
            ended = rig.wait_for(rig.rows_loaded, size.documents)
            used = _used(cpu, rig.cpu())
        return [Rate(part="first load", what="loaded", items=size.documents, seconds=ended - started, cpu=used)]


def insert_streaming(size: Size) -> list[Rate]:
    """Inserts as a backlog, then beside a writer, then the floors of the same changes."""
    with Rig(size) as rig:
        rig.mirror(_WARM_UP_DOCUMENTS)
        backlog = range(_WARM_UP_DOCUMENTS, _WARM_UP_DOCUMENTS + size.changes)
        live = range(backlog.stop, backlog.stop + size.changes)
        return _streaming(rig, "inserts", backlog, live)


def update_streaming(size: Size) -> list[Rate]:
    """Updates as a backlog, then beside a writer, then the floors of the same changes."""
    with Rig(size) as rig:
        rig.mirror(size.changes)
        numbers = range(size.changes)
        return _streaming(rig, "updates", numbers, numbers)


def _streaming(rig: Rig, kind: str, backlog: range, live: range) -> list[Rate]:
    begin = floor.now(rig)
    write(rig.mongodb, SCHEMA, inserts(backlog) if kind == "inserts" else updates(backlog, seed=1))
    goal = rig.changes_applied() + len(backlog)
    with rig.fleet.running():
        started, cpu = time.monotonic(), rig.cpu()
        ended = rig.wait_for(rig.changes_applied, goal)
        drained = Rate(
            part=kind, what="drained", items=len(backlog), seconds=ended - started, cpu=_used(cpu, rig.cpu())
        )
        beside = _live(rig, kind, live)
    return [drained, *beside, *floor.floors(rig, kind, begin, len(backlog))]


def _live(rig: Rig, kind: str, numbers: range) -> list[Rate]:
    goal = rig.changes_applied() + len(numbers)
    with writer(rig.uri, SCHEMA, kind, numbers) as process:
        cpu = rig.cpu()
        process.go()
        ended = rig.wait_for(rig.changes_applied, goal)
        used = _used(cpu, rig.cpu())
        wrote = process.written()
    used["writer"] = wrote.cpu_seconds
    return [
        Rate(part=kind, what="live", items=len(numbers), seconds=ended - wrote.started, cpu=used),
        Rate(part=kind, what="live, the writer alone", items=len(numbers), seconds=wrote.ended - wrote.started, cpu={}),
    ]


def _used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: seconds - before[name] for name, seconds in after.items()}
