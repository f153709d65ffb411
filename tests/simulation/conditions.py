"""What every run needs of its process: small chunks, no logs, no chance beside the seed, and defects that are seen."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import NoReturn
from unittest.mock import patch

import structlog


@contextmanager
def simulated() -> Iterator[None]:
    """The process runs simulations, until the end of the block."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with ExitStack() as patches:
        patches.callback(structlog.reset_defaults)
        patches.enter_context(patch("scheduler.snapshots.CHUNK_DOCUMENTS", 3))
        patches.enter_context(patch("scheduler.snapshots.CHUNKS_AT_ONCE", 2))
        patches.enter_context(patch("scheduler.attempts.defect", _crash))
        patches.enter_context(patch("warp.retry.random", SimpleNamespace(Random=lambda: random.Random(0))))
        yield


def _crash(error: Exception) -> NoReturn:
    """A process would live on, and try again for ever."""
    raise error
