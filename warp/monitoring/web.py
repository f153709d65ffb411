"""The web process: rq dashboard, health, readiness and metrics over HTTP. What they say is made elsewhere."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import waitress
from flask import Flask, Response, redirect, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from werkzeug.wrappers import Response as AnyResponse

from warp.config import Config
from warp.connections import Connections
from warp.errors import WarpError
from warp.monitoring import dashboard
from warp.monitoring.health import Report, Watch, examine
from warp.monitoring.logging import get_logger
from warp.monitoring.status import SchemaStatus
from warp.process import end_in_time

THREADS = 8
"""A page of the dashboard asks for about this many things at once."""


def make_app(config: Config, connections: Connections) -> Flask:
    """The application, over connections that nobody else uses."""
    app = Flask(__name__, static_folder=dashboard.STATIC)
    watch = Watch(lambda: examine(config, connections))
    registry = CollectorRegistry()
    registry.register(StatusCollector(watch.report))
    dashboard.mount(app, connections.redis, connections.redis_address)

    @app.before_request
    def refuse_other_sites() -> tuple[str, int] | None:
        """A page of another site must not press the dashboard's buttons through the browser of who looks at both."""
        origin = request.headers.get("Origin")
        if request.method in ("GET", "HEAD") or origin is None or urlsplit(origin).netloc == request.host:
            return None
        return "this request comes from another site", 403

    @app.get("/")
    def index() -> AnyResponse:
        return redirect(f"{dashboard.URL_PREFIX}/")

    @app.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {"alive": True}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, Any], int]:
        report = watch.report()
        if report is None:
            return {"ready": False, "reason": "the checks take too long: a server does not answer"}, 503
        return report.to_json(), 200 if report.ready else 503

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(REGISTRY) + generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return app


_GAUGES: dict[str, tuple[str, Callable[[SchemaStatus], float | None]]] = {
    "lag_seconds": ("Source's time less that of the checkpoint; 0 when caught up", lambda schema: schema.lag_seconds),
    "backlog_changes": ("Changes in the partition logs", lambda schema: schema.backlog_changes),
    "dead_letters": (
        "Changes that could not be applied and wait for somebody to decide",
        lambda schema: sum(table.dead_letters for table in schema.tables),
    ),
    "checkpoint_age_seconds": ("Since the checkpoint was last saved", lambda schema: schema.checkpoint_age_seconds),
}
_ALARMS: dict[str, tuple[str, Callable[[SchemaStatus], float | None]]] = {
    "stalled": (
        "1 while the source goes on and the checkpoint stands still",
        lambda schema: float(schema.stalled is not None),
    ),
    "oplog_headroom_seconds": (
        "How long until the source no longer has what is still needed",
        lambda schema: schema.oplog_headroom_seconds,
    ),
}


class StatusCollector(Collector):
    """Gauges of the whole mirror, read when they are asked for."""

    def __init__(self, report: Callable[[], Report | None]) -> None:
        self._report = report

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A sample for each schema whose value can be said now."""
        report = self._report()
        up = GaugeMetricFamily("cartridge_warp_up", "1 while everything that mirroring takes is there")
        up.add_metric([], float(report is not None and report.ready))
        yield up
        schemas = report.schemas if report else ()
        for prefix, gauges in (("cartridge_warp_status_", _GAUGES), ("cartridge_warp_", _ALARMS)):
            for name, (documentation, value_of) in gauges.items():
                family = GaugeMetricFamily(f"{prefix}{name}", documentation, labels=["schema"])
                for schema in schemas:
                    value = value_of(schema)
                    if value is not None:
                        family.add_metric([schema.name], value)
                yield family
        yield _blocked(schemas)


def _blocked(schemas: Sequence[SchemaStatus]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "cartridge_warp_table_blocked",
        "1 while nothing can be applied to a table until a person acts",
        labels=["schema", "table"],
    )
    for schema in schemas:
        for table in schema.tables:
            family.add_metric([schema.name, table.name], float(table.blocked is not None))
    return family


def serve(app: Flask, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; port 0 is any free one. Raises WarpError where nobody can listen there."""
    end_in_time()
    try:
        server = waitress.create_server(app, host=host, port=port, threads=THREADS, ident=None)
    except OSError as error:
        raise WarpError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    # That requests wait their turn for a moment is no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # waitress ends in order on SystemExit.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    for address, chosen in _listening(server):
        get_logger(__name__).info("listening", host=address, port=int(chosen))
    server.run()


def _listening(server: Any) -> Sequence[tuple[str, int | str]]:
    """Addresses and ports: several where a name stands for several addresses."""
    several: Sequence[tuple[str, int | str]] = getattr(server, "effective_listen", ())
    return several or [(server.effective_host, server.effective_port)]


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit
