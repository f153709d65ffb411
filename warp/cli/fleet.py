"""`tailer --all`: a tailer for each schema, supervised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from warp.errors import ConfigurationError
from warp.fleet import Fleet
from warp.process import Stop
from warp.supervisor import Supervisor


def supervise_tailers(config_path: Path | None, schemas: Sequence[str], log_level: str | None) -> None:
    """Keep one tailer for each schema running, until SIGTERM or SIGINT."""
    if not schemas:
        raise ConfigurationError("there is no schema in stream mode to tail", remedy="set mode: stream for a schema")
    Supervisor(Fleet(schemas=schemas, config_path=config_path, log_level=log_level).programs()).run(Stop().install())
