"""The connections of a worker process, made once and used by every job that it runs."""

from __future__ import annotations

from warp.change import TableRef
from warp.config import Config, TableSettings
from warp.connections import Connections
from warp.process import Stop
from workers.apply import Applier
from workers.drain import Drain
from workers.relief import Relief
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


def install(config: Config, only: str | None, connections: Connections, stop: Stop) -> Relief:
    """Give the jobs of this process what they use; returns what helps while there are no jobs for want of memory."""
    global _current, _replayer  # RQ calls jobs by path: what they need must be found from a module

    def settings(ref: TableRef) -> TableSettings:
        return config.table(*ref)

    def mirrors(ref: TableRef) -> bool:
        return config.mirrors(*ref)

    report = Report()
    source, destination, logs = connections.source, connections.destination, connections.logs
    applier = Applier(source, destination, logs, settings=settings, report=report)
    loader = Loader(source, destination, settings=settings, report=report)
    _current = Drain(applier, loader, logs, connections.wakeups, destination.metadata, stop=stop)
    _replayer = Replayer(source, destination, settings=settings, mirrors=mirrors, report=report, wait=stop.wait)
    schemas = [schema.name for schema in config.stream_schemas(only)]
    return Relief(schemas, applier, logs, destination.metadata, stop=stop)
