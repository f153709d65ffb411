"""What went wrong: counted, logged, and kept in the metadata's error log for a person to find."""

from __future__ import annotations

from warp.change import TableRef
from warp.errors import WarpError
from warp.metadata.base import Metadata
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.retry import Response, response

_PASSING = (Response.WAIT, Response.REOPEN)


class Failures:
    """One process's account of its failures."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._log = get_logger(__name__)

    def note(self, error: WarpError, schema: str, table: str | None, correlation_id: str | None) -> None:
        """Count, log and keep an error. Where it cannot be kept, because PostgreSQL is away, say, the log has it."""
        metrics.ERRORS.labels(schema, type(error).__name__).inc()
        about = {"schema": schema, "table": table, "reason": str(error), "remedy": error.remedy}
        if response(error) in _PASSING:
            self._log.warning("will be tried again", **about)
        else:
            self._log.error("cannot go on", **about)
        try:
            self._metadata.log_error(schema, table, error, error.remedy, correlation_id)
        except WarpError as unkept:
            self._log.warning("the error could not be kept", reason=str(unkept))

    def block(self, ref: TableRef, error: WarpError) -> None:
        """Note that nothing can be applied to a table until a person acts, if that can be noted."""
        try:
            self._metadata.block(ref, str(error), error.remedy)
        except WarpError as unkept:
            self._log.warning("the table could not be marked as blocked", table=str(ref), reason=str(unkept))
