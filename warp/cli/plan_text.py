"""What `plan` has found out, in lines for a person: 100 columns wide but for what cannot be broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from warp.cli.planning import REASONS, size
from warp.config import Config, redact
from warp.monitoring.terminal import escaped, visible
from warp.plan.result import FieldConflict, KeptField, PlannedField, Reading, SchemaReading, TableReading
from warp.plan.standing import Action

WIDTH = 100
_FIELD, _TYPE = 34, 16
_SHORT = {"timestamp with time zone": "timestamptz"}
_MOST_TYPES = 4
_MOST_KEPT = 8
_LONGEST_WORD = 1_000
_TOKEN = re.compile(r"""(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[^\s"'])+""")
_OTHERS = "other fields"
_BYTES = frozenset({"over 8 MB", "over 1 MB", "key too long for an index"})


def lines(config: Config, reading: Reading) -> Iterator[str]:
    """All of it."""
    for line in _lines(config, reading):
        yield from _broken(line)


def _lines(config: Config, reading: Reading) -> Iterator[str]:
    read = "All documents were read" if reading.sample is None else f"About {reading.sample:,} documents of each table"
    chosen = "" if reading.sample is None else ", chosen at random, were read: what is rare may be missing"
    yield f"{read}{chosen}. Nothing has been written."
    yield ""
    addresses = {"source": config.source.connection_string, "destination": config.destination.connection_string}
    for role, server in reading.servers.items():
        yield f"{role:<12} {server} at {redact(addresses[role].get_secret_value())}"
    for schema in reading.schemas:
        yield ""
        yield f"schema {visible(schema.name)}{_renamed_schema(schema)}"
        if not schema.tables and not schema.unmirrored:
            yield "  nothing to read: the source has no such database or it is empty"
        for left_out in schema.unmirrored:
            yield f"  {visible(left_out.name)}: not mirrored: {escaped(left_out.reason)}"
        for table in schema.tables:
            yield ""
            yield from _table(table)


def _renamed_schema(schema: SchemaReading) -> str:
    return "" if schema.target == f'"{schema.name}"' else f" is the schema {visible(schema.target)}"


def _table(table: TableReading) -> Iterator[str]:
    heading = f"  {visible(table.name)} -> {visible(table.target)}: {_what(table)}"
    yield heading
    if table.action is Action.EXCLUDE:
        return
    if not table.read:
        yield "    empty: the table is created with its first document"
        return
    share = "all" if table.whole else f"of about {table.documents:,}"
    yield f"    {table.read:,} documents read ({share}), the largest {size(table.largest_bytes)}"
    yield f"    {'_id':<{_FIELD}} {_type(table, '_id'):<{_TYPE}} {_counts(table.keys)}"
    for field in table.fields:
        yield _field(table, field)
    if table.more_fields:
        at_least = "at least " if table.more_fields.at_least else ""
        yield f"    and {at_least}{table.more_fields.names:,} fields more: {_counts(table.more_fields.types)}"
    yield from _conflicts(table)
    renamed = [f"{_name(each.name)} -> {visible(each.becomes)}" for each in table.renamed]
    yield from _part("names that change", renamed)
    yield from _part("kept exactly in _extra", list(_kept(table)))
    yield from _part("dangerously large", [_large(*each) for each in _dangers(table)])
    yield from _part("DDL", [line for statement in table.ddl for line in wrapped(f"{statement};")])


def _what(table: TableReading) -> str:
    if table.action is Action.EXCLUDE:
        return "excluded by the configuration"
    verb = "widen" if table.ddl else "keep"
    how = "BLOCKED, see the end" if table.blocked else verb if table.ours else "create"
    copied = f"copy {table.documents:,} documents ({size(table.size_bytes)})"
    return f"{how}, {copied if table.action is Action.COPY else 'follow its changes'}"


def _field(table: TableReading, field: PlannedField) -> str:
    kind = "-" if field.column is None else _type(table, field.column)
    missing = "" if not field.missing else f"; in {field.present:,} of {table.read:,}"
    return f"    {_name(field.field):<{_FIELD}} {kind:<{_TYPE}} {_counts(field.types)}{missing}"


def _type(table: TableReading, column: str) -> str:
    found = next((each.type for each in table.columns if each.name == column), "-")
    return _SHORT.get(found, found)


def _counts(types: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} {number:,}" for name, number in list(types.items())[:_MOST_TYPES])
    return shown + (f", {len(types) - _MOST_TYPES} types more" if len(types) > _MOST_TYPES else "")


def _conflicts(table: TableReading) -> Iterator[str]:
    order = "in the order of _id" if table.whole else "in no order"
    heading = f"several types (the first value that comes decides; these came {order})"
    yield from _part(heading, [_conflict(table, each) for each in table.conflicts])


def _conflict(table: TableReading, conflict: FieldConflict) -> str:
    parts = [f"{_name(conflict.field)}: {_counts(conflict.types)} -> {_type(table, conflict.column)}"]
    if len(conflict.became) > 1:
        parts.append("by way of " + " and ".join(conflict.became[:-1]))
    rules = sorted(set(conflict.settled.values()))
    because = f" ({', '.join(rules)})" if rules else ""
    if conflict.kept:
        parts.append(f"{conflict.kept:,} in _extra{because}")
    if conflict.dead_letters:
        parts.append(f"{conflict.dead_letters:,} make dead letters{because}")
    return "; ".join(parts)


def _kept(table: TableReading) -> Iterator[str]:
    """A line for each reason."""
    reasons: dict[str, list[KeptField]] = {}
    for kept in table.kept:
        reasons.setdefault(kept.reason, []).append(kept)
    for reason, fields in reasons.items():
        shown = [f"{_OTHERS if each.field is None else _name(each.field)} {each.values:,}" for each in fields]
        more = f" and {len(fields) - _MOST_KEPT:,} fields more" if fields[_MOST_KEPT:] else ""
        yield f"{REASONS.get(reason, reason)}: {', '.join(shown[:_MOST_KEPT])}{more}"


def _name(field: str) -> str:
    """A field's name, which may be made up of nothing."""
    return visible(field, _FIELD - 3) if field == field.strip() != "" else json.dumps(field)


def _dangers(table: TableReading) -> Iterator[tuple[str, int, int, Sequence[str]]]:
    return ((each.danger, each.documents, each.most, each.keys) for each in table.large)


def _large(danger: str, documents: int, most: int, keys: Sequence[str]) -> str:
    amount = size(most) if danger in _BYTES else f"{most:,} fields"
    shown = ", ".join(visible(key, 40) for key in keys) + (", …" if documents > len(keys) else "")
    return f"{documents:,} {'document' if documents == 1 else 'documents'}: {danger}, up to {amount}; _id {shown}"


def _part(heading: str, found: Sequence[str]) -> Iterator[str]:
    if found:
        yield f"    {heading}:"
    yield from (f"      {line}" for line in found)


def wrapped(statement: str) -> list[str]:
    """A statement in lines, broken only where no name or text is; what is not printable is JSON."""
    shown: list[str] = []
    for words in _between_commas(statement):
        if shown and len(shown[-1]) + len(words) < WIDTH - 6:
            shown[-1] += f" {words}"
        else:
            shown.append(f"  {words}" if shown else words)
    return shown


def _between_commas(statement: str) -> Iterator[str]:
    words: list[str] = []
    for token in _TOKEN.findall(statement):
        words.append(visible(token, _LONGEST_WORD))
        if token.endswith((",", "(")):
            yield " ".join(words)
            words = []
    yield " ".join(words)


def _broken(line: str) -> list[str]:
    """A line, as several where it is too long."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return wrap(line, WIDTH, subsequent_indent=indent, drop_whitespace=True) if len(line) > WIDTH else [line]
