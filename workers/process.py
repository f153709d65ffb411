"""The worker's process."""

from __future__ import annotations

from warp.config import Config
from warp.connections import Connections
from workers import context
from workers.worker import Worker


def run_worker(config: Config, only: str | None, connections: Connections) -> None:
    """Serve the queues, of one schema or of all, until SIGTERM or SIGINT; the step under way is finished first."""
    worker = Worker(connections.redis, only)
    context.install(config, connections, stopping=lambda: worker.stop_requested)
    worker.work(logging_level="WARNING")
