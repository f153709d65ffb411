"""Rules between values: which schemas a mode needs, names that repeat, schedules and modes that do not fit.

They take the data as it came, before any value in it has been checked, and say nothing about what they cannot read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from warp.config.filters import SALT_NEEDED
from warp.destinations.base import OnDrop
from warp.evolution.rules import Layout
from warp.filters import Mask


class Violation(NamedTuple):
    """Where in the configuration, what stands there, and what may."""

    loc: tuple[str | int, ...]
    found: Any
    allowed: str


def with_implied_schema(data: Any) -> Any:
    """In single mode without a list of schemas, the one schema there is, with the global settings."""
    fields = _fields(data)
    name = fields.get("single_schema_name")
    if fields.get("mode") == "single" and isinstance(name, str) and not fields.get("schemas"):
        return {**fields, "schemas": [{"name": name}]}
    return data


def violations(data: Any) -> Iterator[Violation]:
    """Every rule that the configuration breaks."""
    fields = _fields(data)
    schemas = _items(fields.get("schemas"))
    yield from _of_names(("schemas",), schemas)
    for index, schema in enumerate(schemas):
        yield from _of_schedule(("schemas", index), schema)
        yield from _of_names(("schemas", index, "tables"), _items(schema.get("tables")))
    if fields.get("mode", "multi") == "single":
        yield from _of_single_mode(fields, schemas)
    else:
        yield from _of_multi_mode(fields, schemas)
    yield from _of_layouts(fields, schemas)
    yield from _of_salt(fields, schemas)
    yield from _of_histories((), fields, {})
    yield from _of_database(_fields(fields.get("source")).get("database"), schemas)


def _of_names(loc: tuple[str | int, ...], items: list[Mapping[str, Any]]) -> Iterator[Violation]:
    first: dict[Any, int] = {}
    for index, item in enumerate(items):
        name = item.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            earlier = _path((*loc, first[name]))
            yield Violation((*loc, index, "name"), name, f"a name of its own: {earlier} has this one")


def _of_schedule(loc: tuple[str | int, ...], schema: Mapping[str, Any]) -> Iterator[Violation]:
    mode, schedule = schema.get("mode", "stream"), schema.get("schedule")
    if mode == "batch" and schedule is None:
        yield Violation((*loc, "schedule"), None, 'a cron schedule, which batch mode needs, such as "*/5 * * * *"')
    if mode == "stream" and schedule is not None:
        yield Violation((*loc, "schedule"), schedule, "no schedule: a stream has none; mode: batch has")


def _of_layouts(fields: Mapping[str, Any], schemas: list[Mapping[str, Any]]) -> Iterator[Violation]:
    """What is inherited from above is for whatever table has columns; a depth that is said must be for some."""
    top = fields.get("layout") or Layout.COLUMNS
    yield from _of_depth((), fields, top)
    for index, schema in enumerate(schemas):
        middle = schema.get("layout") or top
        yield from _of_depth(("schemas", index), schema, middle)
        for number, table in enumerate(_items(schema.get("tables"))):
            yield from _of_depth(("schemas", index, "tables", number), table, table.get("layout") or middle)


def _of_depth(loc: tuple[str | int, ...], level: Mapping[str, Any], layout: Any) -> Iterator[Violation]:
    depth = level.get("flatten_depth")
    if depth not in (None, 0, "0") and layout in (Layout.DOCUMENT, Layout.HISTORY):
        yield Violation((*loc, "flatten_depth"), depth, f"0: only layout: columns is flattened, and this is {layout}")


def _of_salt(fields: Mapping[str, Any], schemas: list[Mapping[str, Any]]) -> Iterator[Violation]:
    tables = [table for schema in schemas for table in _items(schema.get("tables"))]
    masks = [mask for level in (fields, *schemas, *tables) for mask in _fields(level.get("mask")).values()]
    if Mask.HASH in masks and fields.get("mask_salt") is None:
        yield Violation(("mask_salt",), None, SALT_NEEDED)


def _of_histories(
    loc: tuple[str | int, ...], level: Mapping[str, Any], above: Mapping[str, Any]
) -> Iterator[Violation]:
    """Wherever a level says anything of layout or drops, for what has no settings of its own; then the levels in it."""
    own = {name: level[name] for name in ("layout", "on_drop") if level.get(name) is not None}
    settings = {**above, **own}
    if own and settings.get("layout") == Layout.HISTORY and settings.get("on_drop", OnDrop.KEEP) != OnDrop.KEEP:
        allowed = "keep, where layout is history: no row of it is deleted"
        yield Violation((*loc, "on_drop"), settings["on_drop"], allowed)
    for name in ("schemas", "tables"):
        for index, inner in enumerate(_items(level.get(name))):
            yield from _of_histories((*loc, name, index), inner, settings)


def _of_single_mode(fields: Mapping[str, Any], schemas: list[Mapping[str, Any]]) -> Iterator[Violation]:
    name = fields.get("single_schema_name")
    if name is None:
        yield Violation(("single_schema_name",), None, "the name of the one schema, which mode: single needs")
    for index, schema in enumerate(schemas):
        other = schema.get("name")
        if isinstance(name, str) and isinstance(other, str) and other != name:
            yield Violation(("schemas", index, "name"), other, f"in mode: single, only {name} (single_schema_name)")


def _of_multi_mode(fields: Mapping[str, Any], schemas: list[Mapping[str, Any]]) -> Iterator[Violation]:
    if fields.get("single_schema_name") is not None:
        yield Violation(("single_schema_name",), fields["single_schema_name"], "only given with mode: single")
    if not schemas and not fields.get("schemas"):
        yield Violation(("schemas",), fields.get("schemas"), "at least one schema: a list with a name in each item")


def _of_database(database: Any, schemas: list[Mapping[str, Any]]) -> Iterator[Violation]:
    names = [schema.get("name") for schema in schemas]
    if isinstance(database, str) and names and names != [database]:
        allowed = f"{names[0]}, as the schema is called" if len(names) == 1 else "none, as there are several schemas"
        why = "one MongoDB database is mirrored into the PostgreSQL schema of the same name"
        yield Violation(("source", "database"), database, f"{allowed}: {why}")


def _path(loc: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _fields(value: Any) -> Mapping[str, Any]:
    if isinstance(value, BaseModel):
        return dict(value)
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [_fields(item) for item in value] if isinstance(value, list | tuple) else []
