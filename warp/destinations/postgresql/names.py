"""Names of the source as PostgreSQL identifiers; keys of documents as the text of the `_id` column, and back."""

from __future__ import annotations

import base64
import hashlib
import re

import orjson
from psycopg import sql

from warp.change import Key, KeyKind, TableRef
from warp.evolution.decide import MAX_NAME_BYTES
from warp.evolution.shape import Shape
from warp.values import exact_string

_HEX_DIGITS = 8


def identifier(name: str) -> str:
    """A collection's or database's name as an identifier: itself, or its head and a hash where it is too long."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    head = encoded[: MAX_NAME_BYTES - _HEX_DIGITS - 1].decode("utf-8", "ignore")
    return f"{head}_{hashlib.sha256(encoded).hexdigest()[:_HEX_DIGITS]}"


def parametric(*names: str) -> sql.SQL:
    """An identifier for a statement with parameters: psycopg takes a single per cent sign for one of them."""
    return sql.SQL(sql.Identifier(*names).as_string().replace("%", "%%"))


def target(ref: TableRef) -> tuple[str, str]:
    """Schema and name of the PostgreSQL table."""
    return identifier(ref.schema), identifier(ref.table)


_PLAIN = {
    KeyKind.OBJECT_ID: re.compile(r"[0-9a-f]{24}"),
    KeyKind.INT: re.compile(r"-?[0-9]+"),
}
_LITERALS = frozenset({"null", "true", "false"})


def _plain_string(text: str) -> bool:
    """Whether a string cannot be mistaken for the JSON of another key, and is one that PostgreSQL's text takes."""
    return text[:1] not in ("{", '"') and text not in _LITERALS and exact_string(text) is text


def key_cell(shape: Shape, key: Key) -> str:
    """The text of a key in the `_id` column. Two keys never share one: see `warp.evolution.shape.Shape.key_kind`."""
    if key.kind == shape.key_kind and (key.kind != KeyKind.STRING or _plain_string(key.text)):
        return key.text
    match key.kind:
        case KeyKind.OBJECT_ID:
            return f'{{"$oid":"{key.text}"}}'
        case KeyKind.INT:
            return f'{{"$numberLong":"{key.text}"}}'
        case KeyKind.STRING:
            return orjson.dumps(exact_string(key.text)).decode()
        case KeyKind.JSON:
            return key.text


def cell_key(shape: Shape, cell: str) -> Key:
    """The key that `key_cell` wrote; a cell that it never writes is a key of its own, which no document has."""
    plain = _PLAIN.get(shape.key_kind)
    if plain and plain.fullmatch(cell):
        return Key(shape.key_kind, cell)
    if shape.key_kind == KeyKind.STRING and _plain_string(cell):
        return Key(KeyKind.STRING, cell)
    try:
        key = _json_key(cell)
    except ValueError:
        return Key(KeyKind.JSON, cell)
    return key if key_cell(shape, key) == cell else Key(KeyKind.JSON, cell)


def _json_key(cell: str) -> Key:
    match orjson.loads(cell):
        case str() as text:
            return Key(KeyKind.STRING, text)
        case {"$utf8": str() as encoded, **rest} if not rest:
            return Key(KeyKind.STRING, str(base64.b64decode(encoded), "utf-8", "surrogateescape"))
        case {"$oid": str() as digits, **rest} if not rest:
            return Key(KeyKind.OBJECT_ID if _PLAIN[KeyKind.OBJECT_ID].fullmatch(digits) else KeyKind.JSON, digits)
        case {"$numberLong": str() as digits, **rest} if not rest:
            return Key(KeyKind.INT, digits)
        case _:
            return Key(KeyKind.JSON, cell)


_NAME_PREFIX = "$utf8:"


def extra_name(field: str) -> str:
    """The name of a field inside `_extra`: itself, or coded where jsonb cannot hold it."""
    holds = exact_string(field) is field
    if holds and not field.startswith(_NAME_PREFIX):
        return field
    return _NAME_PREFIX + field.encode("utf-8", "surrogateescape").hex()


def field_name(extra: str) -> str:
    """The field that `extra_name` named."""
    if not extra.startswith(_NAME_PREFIX):
        return extra
    return str(bytes.fromhex(extra.removeprefix(_NAME_PREFIX)), "utf-8", "surrogateescape")
