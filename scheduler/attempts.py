"""A round that is tried again for as long as the process lives: what it raises is said, kept and waited for.

Also what nobody foresaw: a process that died of it would meet it again at once, and serve nothing else meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from warp.errors import WarpError
from warp.metadata.base import Metadata
from warp.monitoring.failures import Failures
from warp.monitoring.logging import get_logger
from warp.retry import MENDED_SECONDS, Response, backoff, response
from warp.traces import defect, trace


class Attempts:
    """One schema's round. Calling it does the round, and returns how many seconds to wait before the next."""

    def __init__(
        self, schema: str, tick: Callable[[], None], metadata: Metadata, *, on_error: Callable[[], None]
    ) -> None:
        """`on_error` is called after each round that failed, to give back what it may have left half done."""
        self._schema = schema
        self._tick = tick
        self._failures = Failures(metadata)
        self._on_error = on_error
        self._waits = backoff()
        self._log = get_logger(__name__).bind(schema=schema)

    def __call__(self) -> float:
        """Do the round."""
        try:
            self._tick()
        except WarpError as error:
            self._on_error()
            self._failures.note(error, self._schema, None, None)
            # A stream that is invalid or lost is opened anew, or its schema read again, by the next round.
            lasting = response(error) in (Response.BLOCK, Response.HOLD, Response.ISOLATE)
            return MENDED_SECONDS if lasting else next(self._waits)
        except Exception as error:
            self._log.error("a round failed by a defect", trace=trace(error))
            with suppress(Exception):  # it may be in the way of these, too
                self._on_error()
                self._failures.note(defect(error), self._schema, None, None)
            return MENDED_SECONDS
        self._waits = backoff()
        return 0.0
