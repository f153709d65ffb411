"""Where the servers of one test are, and configuration files that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The connection strings that a configuration needs."""

    mongo_uri: str
    redis_url: str
    pg_dsn: str


def write_config(path: Path, endpoints: Endpoints, schemas: Sequence[str | Mapping[str, Any]], **settings: Any) -> Path:
    """Write a YAML configuration; a schema is its name or all of its settings, `settings` are of the global level."""
    content = {
        "source": {"type": "mongodb", "connection_string": endpoints.mongo_uri},
        "destination": {"type": "postgresql", "connection_string": endpoints.pg_dsn},
        "redis": {"connection_string": endpoints.redis_url},
        "schemas": [{"name": schema} if isinstance(schema, str) else dict(schema) for schema in schemas],
        **settings,
        "monitoring": {"log_format": "console", "min_oplog_headroom_hours": 0, **settings.get("monitoring", {})},
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
