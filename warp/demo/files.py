"""Extended JSON files as collections: `NAME.json` and `NAME.json.gz`, one document a line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple

from bson.codec_options import DatetimeConversion
from bson.json_util import JSONOptions, loads

from warp.errors import ConfigurationError

BATCH = 1000
_BATCH_BYTES = 8 * 2**20
_NAME = re.compile(r"(?P<collection>.+)\.json(\.gz)?")
_OPTIONS: JSONOptions = JSONOptions(tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO)

Document = dict[str, Any]


class Batch(NamedTuple):
    """Some documents of a file, each with the number of its line, from 1."""

    documents: list[Document]
    lines: list[int]


def find_files(directory: Path) -> dict[str, Path]:
    """The files of a directory by the collection that each becomes. Raises ConfigurationError where there are none."""
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        name = match["collection"]
        if name in found:
            raise ConfigurationError(f"{found[name]} and {path} are both the collection {name}")
        found[name] = path
    if not found:
        raise ConfigurationError(f"{directory} has no file NAME.json or NAME.json.gz")
    return found


def read(path: Path) -> Iterator[Batch]:
    """The documents of a file, without empty lines. Raises ConfigurationError, which names the file and the line."""
    batch = Batch([], [])
    size = 0
    for number, text in _lines(path):
        if text.isspace():
            continue
        batch.documents.append(_document(path, number, text))
        batch.lines.append(number)
        size += len(text)
        if len(batch.lines) == BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = Batch([], []), 0
    if batch.lines:
        yield batch


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with _open(path) as file:
            for number, text in enumerate(file, 1):
                yield number, text
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path}:{number + 1}: cannot be read: {error}") from None


def _open(path: Path) -> AbstractContextManager[Iterable[bytes]]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _document(path: Path, number: int, text: bytes) -> Document:
    try:
        document = loads(text.decode(), json_options=_OPTIONS)
    # bson raises what the conversion it tries happens to raise: TypeError, ValueError, decimal's and its own.
    except Exception as error:
        raise ConfigurationError(f"{path}:{number}: not Extended JSON: {_reason(error)}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}:{number}: not a document: it must be an object, {{…}}")
    return document


def _reason(error: Exception) -> str:
    """What is wrong, without the value."""
    return error.msg if isinstance(error, JSONDecodeError) else type(error).__name__
