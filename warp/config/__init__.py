"""The configuration of cartridge-warp: read once, validated whole, passed in.

`load_config` gives a frozen `Config`; everything else takes one. Nothing here connects to a server.
"""

from warp.config.fields import DeletionStrategy
from warp.config.load import DEFAULT_PATH, load_config
from warp.config.models import (
    Config,
    DestinationConfig,
    MonitoringConfig,
    RedisConfig,
    SchemaConfig,
    SourceConfig,
    TableConfig,
    TableSettings,
    WebConfig,
)
from warp.config.secrets import redact, redact_text

__all__ = [
    "DEFAULT_PATH",
    "Config",
    "DeletionStrategy",
    "DestinationConfig",
    "MonitoringConfig",
    "RedisConfig",
    "SchemaConfig",
    "SourceConfig",
    "TableConfig",
    "TableSettings",
    "WebConfig",
    "load_config",
    "redact",
    "redact_text",
]
