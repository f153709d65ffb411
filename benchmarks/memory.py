"""How much memory the fleet takes while it gets through a backlog that is far larger than any of its batches."""

from __future__ import annotations

from benchmarks.measures import Results, Size
from benchmarks.rig import Rig
from benchmarks.throughput import caught_up
from benchmarks.workload import inserts

_WARM_UP = 1000


def memory(size: Size, results: Results) -> None:
    """Inserts as a backlog, and the most memory that each process had meanwhile, its start included."""
    with Rig(size) as rig:
        first = rig.mirror(_WARM_UP)
        applied = rig.changes_applied()
        rig.write(inserts(range(first, first + size.backlog)))
        with rig.fleet.running():
            results.rates.append(caught_up(rig, "memory", applied + size.backlog, size.backlog))
            results.peak_memory = rig.fleet.peak_memory()
