"""Tracebacks without document values: where an error and its causes were raised. A driver's message may hold values.

A message of our own errors is free of values, and shown; of any other error only its class and code are.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from warp.errors import Fatal, WarpError


def defect(error: Exception) -> Fatal:
    """What to say of an error that nobody foresaw: where it was raised, for whoever mends this program."""
    where = trace(error).splitlines()[-2:]
    return Fatal(
        f"a defect of cartridge-warp: {type(error).__name__}, {where[0].strip()}",
        remedy="report it, with the log of the process that says so",
    )


def trace(error: BaseException) -> str:
    """The frames of an error and of what it was raised from, most recent call last, the first cause first."""
    return "\n\nThis led to:\n\n".join(reversed([_one(link) for link in _chain(error)]))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _one(error: BaseException) -> str:
    frames = [
        f"  {_file(frame.f_code.co_filename, frame.f_globals.get('__name__', ''))}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return "\n".join([*frames, _named(error)])


def _file(path: str, module: str) -> str:
    """The file below the directory that its module was found in."""
    parts = Path(path).parts
    return "/".join(parts[-(module.count(".") + (2 if parts[-1] == "__init__.py" else 1)) :])


def _named(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, WarpError):
        return f"{name}: {error}"
    name = f"{type(error).__module__}.{name}"
    state = getattr(error, "sqlstate", None)
    return f"{name} (SQLSTATE {state})" if state else name
