"""`cartridge-warp web`: the RQ dashboard, health and metrics over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from warp.cli.exit_codes import epilog
from warp.cli.options import config_option, configure, log_level_option
from warp.connections import open_connections
from warp.errors import WarpError


@click.command(epilog=epilog("cartridge-warp web", "cartridge-warp web --host 0.0.0.0 --port 8080"))
@config_option()
@click.option("--host", metavar="ADDRESS", help="Listen on this address.  [default: web.host, 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Listen on this port (0: any free one).  [default: web.port, then $PORT, then 8080]",
)
@log_level_option()
def web(config_path: Path | None, host: str | None, port: int | None, log_level: str | None) -> None:
    """Serve the RQ dashboard, health and metrics.

    /rq is the dashboard, /healthz says that this process lives, /readyz whether every server answers and every
    schema has a tailer, /metrics is for Prometheus. There is no login: keep it on localhost, or behind a proxy.
    """
    config = configure(config_path, log_level, process="web")
    try:
        from warp.monitoring.web import make_app, serve
    except ModuleNotFoundError as error:
        raise WarpError(
            f"web needs {error.name}, which is not installed", remedy="pip install 'cartridge-warp[dashboard]'"
        ) from None
    connections = open_connections(config)
    try:
        serve(make_app(config, connections), host or config.web.host, config.web.port if port is None else port)
    finally:
        connections.close()
