"""Small chunks, so that a handful of documents makes several; and no logs, of which there would be too many."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.snapshots.CHUNK_DOCUMENTS", 3)
    monkeypatch.setattr("scheduler.snapshots.CHUNKS_AT_ONCE", 2)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
