"""What an operator does, and what must not happen: more or fewer workers, other partitions, two tailers at once."""

from __future__ import annotations

from tests.chaos.faults.fault import Fault, one_of, seconds
from tests.chaos.rig import SCHEMAS, Rig
from tests.chaos.shares import PROFILES
from tests.support.leaseless import tailer_without_lease
from tests.support.wait import eventually


def _scale(rig: Rig, workers: int) -> str:
    crew = rig.mirror.workers
    before = len(crew)
    while len(crew) < workers:
        crew.append(rig.mirror.fleet.worker(rig.mirror.config))
    while len(crew) > workers:
        worker = crew.pop()
        code = worker.terminate()
        assert code == 0, f"{worker.name} ended with {code}"
    return f"{before} workers before"


def _repartition(rig: Rig, schema: str, table: str, partitions: int) -> str:
    before = rig.partitions.get((schema, table), 1)
    rig.partitions[schema, table] = partitions
    rig.configure()
    for tailer in rig.tailers(schema):
        code = tailer.terminate()
        assert code == 0, f"{tailer.name} ended with {code}"
        tailer.restart()
    query = "SELECT partitions FROM cartridge_warp.sync_tables WHERE (schema_name, table_name) = (%s, %s)"
    eventually(
        lambda: rig.mirror.query(query, (schema, table)) == [(partitions,)], what=f"{table} in {partitions} partitions"
    )
    return f"{before} partitions before"


def _second_tailer(rig: Rig, schema: str, lasting: float) -> str:
    """One that asks nobody whether it leads."""
    with tailer_without_lease(rig.mirror.settings, schema):
        rig.pause(lasting)
    return "in the harness"


FAULTS = (
    Fault("scale-workers", _scale, {"workers": one_of(1, 2, 3, 4)}),
    Fault(
        "repartition",
        _repartition,
        {"schema": one_of(*SCHEMAS), "table": one_of(*PROFILES), "partitions": one_of(1, 2, 3, 4)},
    ),
    Fault("second-tailer", _second_tailer, {"schema": one_of(*SCHEMAS), "lasting": seconds(1, 8)}),
)
