"""The connections of a worker process, made once and used by every job that it runs."""

from __future__ import annotations

from warp.change import TableRef
from warp.config import Config, TableSettings
from warp.connections import Connections
from warp.process import Stop
from workers.apply import Applier
from workers.drain import Drain
from workers.replay import Replayer
from workers.report import Report
from workers.snapshot import Loader

_current: Drain | None = None
_replayer: Replayer | None = None
_OURS = "this job runs in `cartridge-warp worker`, not in a plain `rq worker`"


def current() -> Drain:
    """What the wake-ups of this process use. Raises RuntimeError outside of a worker of ours."""
    if _current is None:
        raise RuntimeError(_OURS)
    return _current


def replayer() -> Replayer:
    """What the replays of this process use. Raises RuntimeError outside of a worker of ours."""
    if _replayer is None:
        raise RuntimeError(_OURS)
    return _replayer


def install(config: Config, connections: Connections, stop: Stop) -> None:
    """Give the jobs of this process what they use."""
    global _current, _replayer  # RQ calls jobs by path: what they need must be found from a module

    def settings(ref: TableRef) -> TableSettings:
        return config.table(*ref)

    report = Report()
    _current = Drain(
        Applier(connections.source, connections.destination, connections.logs, settings=settings, report=report),
        Loader(connections.source, connections.destination, settings=settings, report=report),
        connections.logs,
        connections.wakeups,
        connections.destination.metadata,
        stop=stop,
    )
    _replayer = Replayer(connections.source, connections.destination, settings=settings, report=report, wait=stop.wait)
