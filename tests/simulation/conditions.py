"""What every run needs of its process: small chunks, so that a handful of documents makes several, and no logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import structlog


@contextmanager
def simulated() -> Iterator[None]:
    """The process runs simulations, until the end of the block."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with patch("scheduler.snapshots.CHUNK_DOCUMENTS", 3), patch("scheduler.snapshots.CHUNKS_AT_ONCE", 2):
            yield
    finally:
        structlog.reset_defaults()
