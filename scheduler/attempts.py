"""A round that is tried again for as long as the process lives: what it raises is said, counted and waited for."""

from __future__ import annotations

from collections.abc import Callable

from warp.errors import Fatal, ServerUnreachable, StreamInvalid, StreamLost, Transient, WarpError
from warp.metadata.base import Metadata
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.retry import backoff

FATAL_SECONDS = 10.0
"""The wait after an error that only a person can mend: then it is tried again, and said again."""


class Attempts:
    """One schema's round. Calling it does the round, and returns how many seconds to wait before the next."""

    def __init__(
        self, schema: str, tick: Callable[[], None], metadata: Metadata, *, on_error: Callable[[], None]
    ) -> None:
        """`on_error` is called after each round that failed, to give back what it may have left half done."""
        self._schema = schema
        self._tick = tick
        self._metadata = metadata
        self._on_error = on_error
        self._waits = backoff()
        self._log = get_logger(__name__).bind(schema=schema)

    def __call__(self) -> float:
        """Do the round."""
        try:
            self._tick()
        except (Transient, ServerUnreachable, StreamInvalid) as error:
            self._count(error)
            self._log.warning("will be tried again", reason=str(error))
            self._on_error()
            return next(self._waits)
        except (Fatal, StreamLost) as error:
            self._count(error)
            self._log.error("cannot go on", reason=str(error), remedy=error.remedy)
            self._on_error()
            self._keep(error)
            return FATAL_SECONDS
        self._waits = backoff()
        return 0.0

    def _count(self, error: WarpError) -> None:
        metrics.ERRORS.labels(self._schema, type(error).__name__).inc()

    def _keep(self, error: WarpError) -> None:
        try:
            self._metadata.log_error(self._schema, None, error, error.remedy, None)
        except WarpError as unkept:
            self._log.warning("the error could not be kept", reason=str(unkept))
