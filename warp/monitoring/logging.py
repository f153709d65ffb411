"""How a process logs: structlog, one JSON object or one console line an event, on stderr, free of credentials.

What libraries log through the standard library takes the same form. Who logs binds `correlation_id` and the like with
`structlog.contextvars`; document values are never logged, and that is up to the caller.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from warp.config.fields import LogFormat
from warp.config.secrets import redact_text

_NAME = "logger_name"

# At DEBUG it writes whole commands, and with them documents.
_LOGGERS_WITH_DOCUMENTS = ("pymongo.command",)


def configure_logging(level: str, fmt: LogFormat, *, process: str) -> None:
    """Set up logging of this process, once more if need be; every event carries `process`.

    Libraries are heard from WARNING on, and at every level where `level` is DEBUG.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Naming(process),
    ]
    rendering: list[Processor] = [structlog.processors.format_exc_info, _redact, *_renderers(fmt, sys.stderr)]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        # A cached logger would go on writing as it was configured first.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared, structlog.stdlib.ExtraAdder()],
        )
    )
    library_level = "DEBUG" if level == "DEBUG" else "WARNING"
    handler.setLevel(library_level)  # RQ gives some of its loggers a level of their own
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=library_level, force=True)
    for name in _LOGGERS_WITH_DOCUMENTS:
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module; its name is in every event as `logger`."""
    # An initial value, not a binding: binding would settle the configuration that holds now.
    return cast(FilteringBoundLogger, structlog.get_logger(**{_NAME: name}))


class _Naming:
    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = self._process
        if _NAME in event:
            event["logger"] = event.pop(_NAME)
        return event


def _renderers(fmt: LogFormat, stream: TextIO) -> list[Processor]:
    if fmt == "console" or (fmt == "auto" and stream.isatty()):
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    return [structlog.processors.JSONRenderer(serializer=_to_json)]


def _to_json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event).decode()


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _public(value) for key, value in event.items()}


def _public(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, Mapping):
        return {_text(key): _public(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_public(item) for item in value]
    return _text(value)


def _text(value: object) -> str:
    # orjson refuses lone surrogates, which file names and broken input bring.
    return redact_text(str(value)).encode(errors="backslashreplace").decode()
