"""The tailer's and the scheduler's process: their `tick` in a loop that outlives every outage."""

from __future__ import annotations

import time
from collections.abc import Callable

from scheduler.lease import Lease
from scheduler.reconcile import Reconcile
from scheduler.snapshots import Snapshots
from scheduler.tailer import Tailer
from warp.config import Config
from warp.connections import Connections
from warp.errors import Fatal, ServerUnreachable, StreamInvalid, StreamLost, Transient, WarpError
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.process import Collector, Stop
from warp.retry import backoff
from warp.transport import keys

STANDBY_SECONDS = 1.0
SCHEDULER_SECONDS = 0.5
FATAL_SECONDS = 10.0
"""The wait after an error that only a person can mend: then it is tried again, and said again."""


def run_tailer(config: Config, schema: str, connections: Connections, stop: Stop) -> None:
    """Serve a schema, or stand by for the tailer that does, until told to stop."""
    lease = Lease(connections.redis, connections.redis_address, keys.tailer_lease(schema), clock=time.monotonic)
    tailer = Tailer(
        schema,
        connections.source,
        connections.destination.metadata,
        connections.logs,
        connections.wakeups,
        settings=lambda table: config.table(schema, table),
        high_water_mark=config.log_high_water_mark,
        clock=time.monotonic,
        wait=stop.wait,
    )

    def tick() -> None:
        if lease.hold():
            tailer.tick()
        else:
            tailer.close()
            stop.wait(STANDBY_SECONDS)

    _loop(schema, tick, connections, stop, on_error=tailer.close)
    try:
        tailer.finish()
        lease.release()
    except WarpError as error:
        get_logger(__name__).info("stopped without saving the checkpoint once more", reason=str(error))


def run_scheduler(config: Config, only: str | None, connections: Connections, stop: Stop) -> None:
    """Keep first loads going and logs attended until told to stop."""
    metadata, wakeups = connections.destination.metadata, connections.wakeups
    rounds: list[Callable[[], object]] = []
    for schema in config.stream_schemas(only):
        rounds.append(Snapshots(schema.name, connections.source, metadata, wakeups).tick)
        rounds.append(Reconcile(schema.name, metadata, connections.logs, wakeups).tick)

    def tick() -> None:
        for each in rounds:
            each()
        stop.wait(SCHEDULER_SECONDS)

    _loop(only or "", tick, connections, stop, on_error=lambda: None)


def _loop(
    schema: str, tick: Callable[[], None], connections: Connections, stop: Stop, *, on_error: Callable[[], None]
) -> None:
    log = get_logger(__name__).bind(schema=schema)
    waits = backoff()
    collector = Collector()
    while not stop.is_set():
        collector.rest()
        try:
            tick()
            waits = backoff()
        except (Transient, ServerUnreachable, StreamInvalid) as error:
            metrics.ERRORS.labels(schema, type(error).__name__).inc()
            log.warning("will be tried again", reason=str(error))
            on_error()
            stop.wait(next(waits))
        except (Fatal, StreamLost) as error:
            metrics.ERRORS.labels(schema, type(error).__name__).inc()
            log.error("cannot go on", reason=str(error), remedy=error.remedy)
            on_error()
            _keep(schema, error, connections)
            stop.wait(FATAL_SECONDS)


def _keep(schema: str, error: WarpError, connections: Connections) -> None:
    try:
        connections.destination.metadata.log_error(schema, None, error, error.remedy, None)
    except WarpError as unkept:
        get_logger(__name__).warning("the error could not be kept", reason=str(unkept))
