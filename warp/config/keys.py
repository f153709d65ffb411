"""Names in a configuration: the keys a section has, the path of a value, the environment variable that sets it."""

import difflib
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

Location = tuple[str | int, ...]
"""Where a value stands: keys, and the indexes of list items."""

PREFIX = "CARTRIDGE_WARP_"
LEVELS = "__"


def path(loc: Location) -> str:
    """A location as a person writes it: `schemas[1].tables[0].partitions`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def variable(loc: Location) -> str:
    """The environment variable that sets the value at `loc`, which stands in no list."""
    return PREFIX + LEVELS.join(str(part).upper() for part in loc)


def variables(model: type[BaseModel], loc: Location = ()) -> Iterator[str]:
    """Every variable that sets one value of `model`, or one list, which is given whole."""
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, (*loc, key))
        else:
            yield variable((*loc, key))


def keys_at(model: type[BaseModel], loc: Location) -> list[str]:
    """The keys that a section at `loc` may have; none where no section can stand."""
    section: type[BaseModel] | None = model
    for part in loc:
        if section is not None and isinstance(part, str):
            section = _section(section, part)
    return [] if section is None else list(section.model_fields)


def advice(key: str, known: Iterable[str]) -> str:
    """The known key that looks most like `key`, or else all of them."""
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1) or difflib.get_close_matches(key.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"


def _section(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key)
    candidates = (field.annotation, *getattr(field.annotation, "__args__", ())) if field else ()
    return next((item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)), None)
