"""What is wrong with a configuration, in lines a person can act on: where, what was found, what is allowed.

Nothing from a secret is shown: strings in sections that hold connection strings are redacted, whole if need be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from warp.config.keys import Location, advice, keys_at, path, variable
from warp.config.secrets import HIDDEN, redact, redact_text

_SECTIONS_WITH_SECRETS = ("source", "destination", "redis")
_SECRETS = ("mask_salt",)
_PUBLIC_IN_SECTIONS = ("type", "database")
_LONGEST_SHOWN = 60
_NOT_SHOWN = "found something else (not shown)"
_ALLOWED = {
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "tuple_type": "a list",
    "string_type": "a string (YAML takes some words and numbers for something else: put it in quotes)",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a file's name, perhaps with a line (from 1), or the name of a variable."""

    name: str
    line: int | None = None

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; its string is the line that says so. All parts are fit to be shown."""

    origin: Origin
    loc: Location
    found: str
    advice: str

    def __str__(self) -> str:
        # A key can be a connection string whose own key was forgotten.
        where = f"{self.origin}: {redact_text(path(self.loc))}" if self.loc else str(self.origin)
        return f"{where}: {self.found}; {self.advice}"


def problem_of(error: ErrorDetails, model: type[BaseModel], origin: Origin) -> Problem:
    """A pydantic error in terms of the configuration, whose root is `model`."""
    loc, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return Problem(origin, loc, "unknown key", advice(str(loc[-1]), keys_at(model, loc[:-1])))
    if kind == "missing":
        in_list = any(isinstance(part, int) for part in loc)
        where = "here" if in_list else f"here or as {variable(loc)}"
        return Problem(origin, loc, "missing", f"it must be given, {where}")
    return Problem(origin, loc, _found(loc, error["input"]), f"allowed: {_allowed(error)}")


def _found(loc: Location, value: Any) -> str:
    if value is None:
        return "nothing given"
    if isinstance(value, Mapping | BaseModel):
        return "found keys with values"
    if isinstance(value, list | tuple):
        return "found a list"
    if loc and loc[-1] in _SECRETS:
        return _NOT_SHOWN
    secret = loc[:1] and loc[0] in _SECTIONS_WITH_SECRETS and loc[-1] not in _PUBLIC_IN_SECTIONS
    text = str(value)
    if secret or "://" in text:
        text = redact(text)
    if text == HIDDEN:
        return _NOT_SHOWN
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return f'found "{text}"' if isinstance(value, str) else f"found {text}"


def _allowed(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"])
    return _ALLOWED.get(error["type"], error["msg"].removeprefix("Value error, "))
