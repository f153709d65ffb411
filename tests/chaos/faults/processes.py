"""Processes of the fleet: killed and started again, or frozen for longer than their lease."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.chaos.faults.fault import KILLED_SECONDS, Draw, Fault, one_of, pick, seconds, which
from tests.chaos.rig import SCHEMAS, Rig
from tests.support.fleet import Process

_AWAY = seconds(0, 1)
"""How long a supervisor takes to start a process again."""
_STEP_SECONDS = 2.0
"""How long to look for a moment at which a worker is within a step."""

Choose = Callable[..., Process]


def _tailer(rig: Rig, schema: str) -> Process:
    return rig.tailers(schema)[0]


def _worker(rig: Rig, place: int) -> Process:
    return pick(rig.mirror.workers, place)


def _scheduler(rig: Rig) -> Process:
    return rig.mirror.scheduler


def _kill(choose: Choose, rig: Rig, away: float, **chosen: object) -> str:
    process = choose(rig, **chosen)
    pid = process.pid
    process.kill()
    rig.pause(away)
    process.restart()
    return f"{process.name} (pid {pid}, then {process.pid})"


def _freeze(choose: Choose, rig: Rig, lasting: float, **chosen: object) -> str:
    process = choose(rig, **chosen)
    process.freeze()
    rig.pause(lasting)
    process.thaw()
    return f"{process.name} (pid {process.pid})"


def _freeze_worker(rig: Rig, place: int, lasting: float, within_step: bool) -> str:
    process = _worker(rig, place)
    try:
        if within_step:
            rig.mirror.freeze_when(process, rig.mirror.steps_under_way, "a worker within a step", _STEP_SECONDS)
    except AssertionError:
        pass  # there is little to do: any moment will do
    process.freeze()
    rig.pause(lasting)
    process.thaw()
    return f"{process.name} (pid {process.pid})"


def _killing(name: str, choose: Choose, chosen: dict[str, Draw]) -> Fault:
    return Fault(f"kill-{name}", partial(_kill, choose), {**chosen, "away": _AWAY}, limit=KILLED_SECONDS)


FAULTS = (
    _killing("tailer", _tailer, {"schema": one_of(*SCHEMAS)}),
    _killing("worker", _worker, {"place": which}),
    _killing("scheduler", _scheduler, {}),
    Fault("freeze-tailer", partial(_freeze, _tailer), {"schema": one_of(*SCHEMAS), "lasting": seconds(8.5, 12)}),
    Fault(
        "freeze-worker",
        _freeze_worker,
        {"place": which, "lasting": seconds(5.5, 9), "within_step": one_of(True, False)},
    ),
    Fault("freeze-scheduler", partial(_freeze, _scheduler), {"lasting": seconds(5.5, 9)}),
)
