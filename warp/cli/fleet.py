"""`tailer --all`: a tailer for each schema, supervised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from warp.fleet import Fleet
from warp.process import Stop
from warp.supervisor import SUPERVISOR_END_SECONDS, Supervisor


def supervise_tailers(
    config_path: Path | None, schemas: Sequence[str], log_level: str | None, metrics_port: int | None
) -> None:
    """Keep one tailer for each schema running, until SIGTERM or SIGINT. Their metrics are on consecutive ports."""
    fleet = Fleet(schemas=schemas, config_path=config_path, log_level=log_level, metrics_port=metrics_port)
    Supervisor(fleet.programs()).run(Stop().install(within=SUPERVISOR_END_SECONDS))
