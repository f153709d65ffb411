"""The worker's process: an RQ worker that is started again when Redis failed under it."""

from __future__ import annotations

from redis.exceptions import OutOfMemoryError, RedisError

from warp.config import Config
from warp.connections import Connections
from warp.monitoring.logging import get_logger
from warp.process import Collector, Stop
from warp.retry import backoff
from workers import context
from workers.worker import Worker


def run_worker(config: Config, only: str | None, connections: Connections, stop: Stop) -> None:
    """Serve the queues, of one schema or of all, until told to stop; the step under way is finished first."""
    relief = context.install(config, only, connections, stop)
    collector = Collector()
    waits = backoff()
    while not stop.is_set():
        try:
            worker = Worker(connections.redis, only, stop, collector, relief)
            worker.work(logging_level="WARNING")
        except RedisError as error:  # away, out of memory, loading its data
            get_logger(__name__).warning("Redis does not serve, will be tried again", reason=str(error))
            if isinstance(error, OutOfMemoryError):
                relief()
        stop.wait(0 if stop.is_set() else next(waits))
