"""The demonstration from the first server to the last comparison, told to a person who watches."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml
from pymongo import MongoClient

from warp.children import module_command, module_environment
from warp.config import load_config
from warp.connections import Connections, open_connections
from warp.demo.fill import Data
from warp.demo.probe import Probe, percentile
from warp.demo.shop import Document
from warp.demo.writing import WriterProcess
from warp.embedded import EmbeddedServers
from warp.errors import WarpError
from warp.fleet import Fleet
from warp.monitoring.display import Display, display
from warp.monitoring.progress import Progress, Watch
from warp.supervisor import Supervisor, supervised
from warp.verify import TableResult, verify_schema

WORKERS = 2
RATE = 4_000
"""Changes a second at which the writer stops going faster."""
PATIENCE_SECONDS = 60.0
"""The longest time in which nothing moves."""
_LOOK_SECONDS = 0.2
_SEED = 2024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    documents_loaded: int
    load_seconds: float
    written: dict[str, int]
    applied: int
    stream_seconds: float
    """From the end of the first load until everything was applied."""
    streamed: int
    """Changes applied in that time."""
    samples: Sequence[float]
    """Seconds from commit to visible row."""
    results: Sequence[TableResult]

    @property
    def differences(self) -> int:
        """Documents that are not the same on both sides."""
        return sum(result.missing + result.extra + result.different for result in self.results)
