"""The Prometheus metrics of every process, and their port. Names and labels are an interface: alerts rest on them."""

from __future__ import annotations

from collections import defaultdict

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from warp.change import TableRef, dotted
from warp.errors import WarpError

RECORDS = Counter(
    "cartridge_warp_records_processed_total", "Changes applied to PostgreSQL", ["schema", "table", "operation"]
)
SNAPSHOT_ROWS = Counter("cartridge_warp_snapshot_rows_total", "Documents read by first loads", ["schema", "table"])
STALE = Counter(
    "cartridge_warp_stale_total", "Writes rightly left alone: their row was newer already", ["schema", "table"]
)
KEPT = Counter(
    "cartridge_warp_values_kept_in_extra_total",
    "Values kept in _extra because they fit no column",
    ["schema", "table", "field", "reason"],
)
OTHER_FIELDS = "(other)"
"""Stands for the fields that are not told apart."""
_MOST_FIELDS = 200
_MOST_LETTERS = 100
DEAD_LETTERS = Counter("cartridge_warp_dead_letters_total", "Changes that could not be applied", ["schema", "table"])
SUPERSEDED = Counter(
    "cartridge_warp_dead_letters_superseded_total",
    "Dead letters that a later state of their document made void",
    ["schema", "table"],
)
LOST = Counter(
    "cartridge_warp_updates_lost_total",
    "Documents of kept rows that were gone with their collection before their last update was looked up",
    ["schema", "table"],
)
ERRORS = Counter("cartridge_warp_errors_total", "Errors by class", ["schema", "error_class"])
STEP_SECONDS = Histogram(
    "cartridge_warp_step_seconds",
    "Duration of one apply step, from lock to commit",
    ["schema"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
STEP_CHANGES = Histogram(
    "cartridge_warp_step_changes", "Changes in one apply step", ["schema"], buckets=(1, 10, 100, 500, 1000, 2500, 5000)
)
COMMIT_LAG = Histogram(
    "cartridge_warp_commit_to_visible_seconds",
    "From the commit in MongoDB to the commit in PostgreSQL, by the newest change of each step",
    ["schema"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)

_SENT = Counter("cartridge_warp_changes_sent_total", "Changes sent to the partition logs", ["schema"])
_LAG = Gauge("cartridge_warp_lag_seconds", "Source's cluster time less that of the checkpoint", ["schema"])
_BACKLOG = Gauge("cartridge_warp_backlog_changes", "Changes sent and not yet applied", ["schema"])
_BACKLOG_BYTES = Gauge("cartridge_warp_backlog_bytes", "Bytes in the partition logs", ["schema"])
_PAUSED = Gauge("cartridge_warp_tailer_paused", "1 while the logs are at their high-water mark", ["schema"])
_CHECKPOINT = Gauge("cartridge_warp_checkpoint_timestamp_seconds", "When the checkpoint was last saved", ["schema"])
_RESTARTS = Counter("cartridge_warp_tailer_restarts_total", "Times that lost entries were sent again", ["schema"])


_told: defaultdict[TableRef, set[str]] = defaultdict(set)


def kept(ref: TableRef, field: str, reason: str, values: int) -> None:
    """Values were kept in `_extra`. Of each table this process tells apart the first fields that come."""
    told = _told[ref]
    if field not in told and len(told) < _MOST_FIELDS:
        told.add(field)
    name = dotted(field).encode("utf-8", "backslashreplace").decode() if field in told else OTHER_FIELDS
    KEPT.labels(*ref, name[:_MOST_LETTERS], reason).inc(values)


class TailerMetrics:
    """One schema's tailer, measured."""

    def __init__(self, schema: str) -> None:
        self._sent = _SENT.labels(schema)
        self._lag = _LAG.labels(schema)
        self._backlog = _BACKLOG.labels(schema)
        self._bytes = _BACKLOG_BYTES.labels(schema)
        self._checkpoint = _CHECKPOINT.labels(schema)
        self.paused = _PAUSED.labels(schema)
        self.restarts = _RESTARTS.labels(schema)

    def sent(self, changes: int) -> None:
        """So many changes went to the logs."""
        self._sent.inc(changes)

    def checked(self, *, lag: float, changes: int, size: int) -> None:
        """The checkpoint was saved; `lag` in seconds, `size` in bytes."""
        self._lag.set(lag)
        self._backlog.set(changes)
        self._bytes.set(size)
        self._checkpoint.set_to_current_time()


def serve_metrics(port: int | None, host: str) -> None:
    """Serve `/metrics` at that port of that address; None: not at all. Raises WarpError where that cannot be."""
    if port is not None:
        try:
            start_http_server(port, addr=host)
        except OSError as error:
            raise WarpError(f"metrics cannot be served at {host}:{port}: {error.strerror}") from error
