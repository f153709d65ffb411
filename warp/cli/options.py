"""Options that several commands share, and the step they share: load the configuration, then set up logging by it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from warp.config import Config, SchemaConfig, load_config
from warp.errors import ConfigurationError
from warp.monitoring.logging import configure_logging

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_LOG_LEVEL_VARIABLE = "CARTRIDGE_WARP_MONITORING__LOG_LEVEL"


def config_option() -> Callable[[_Command], _Command]:
    """`--config PATH`, passed as `config_path: Path | None`."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Configuration file, YAML or JSON.  [default: $CARTRIDGE_WARP_CONFIG, then cartridge-warp.yaml]",
    )


def schema_option(envvar: str | None = None) -> Callable[[_Command], _Command]:
    """`--schema NAME`, passed as `schema: str | None`; `Config.selected_schemas` says whether it exists."""
    return click.option(
        "--schema", metavar="NAME", envvar=envvar, show_envvar=True, help="Only this schema.  [default: all]"
    )


def metrics_port_option() -> Callable[[_Command], _Command]:
    """`--metrics-port N`, passed as `metrics_port: int | None`; 0 stands for any free port, None for no metrics."""
    return click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        metavar="N",
        help="Serve Prometheus metrics on this port (0: any free one).  [default: none]",
    )


def log_level_option() -> Callable[[_Command], _Command]:
    """`--log-level LEVEL`, passed as `log_level: str | None`."""
    return click.option(
        "--log-level",
        type=click.Choice(_LOG_LEVELS, case_sensitive=False),
        help="Overrides monitoring.log_level.",
    )


def configure(config_path: Path | None, log_level: str | None = None, *, process: str) -> Config:
    """The configuration of this command, with logging of this process set up by it; raises ConfigurationError.

    `process` is what every event it logs carries: "tailer", "worker", …
    """
    environ = {**os.environ, _LOG_LEVEL_VARIABLE: log_level} if log_level else os.environ
    config = load_config(config_path, environ)
    configure_logging(config.monitoring.log_level, config.monitoring.log_format, process=process)
    return config


def streams(config: Config, only: str | None) -> tuple[SchemaConfig, ...]:
    """The schemas to serve, of all or `only` that one; says on stderr which are not served.

    Raises ConfigurationError where there is none.
    """
    served = config.stream_schemas(only)
    skipped = [schema.name for schema in config.selected_schemas(only) if schema not in served]
    if not served:
        raise ConfigurationError(
            f"batch mode is not served yet, and no other schema is configured: {', '.join(skipped)}",
            remedy="set mode: stream",
        )
    if skipped:
        click.echo(f"batch mode is not served yet, skipped: {', '.join(skipped)}", err=True)
    return served
