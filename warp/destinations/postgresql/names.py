"""Names of the source as PostgreSQL identifiers; keys of documents as the text of the `_id` column, and back."""

from __future__ import annotations

import base64
import hashlib
import re
from uuid import UUID

import orjson
from psycopg import sql

from warp.change import PATH, Key, KeyKind, TableRef
from warp.evolution.naming import MAX_NAME_BYTES, head, is_legal, name_bytes
from warp.evolution.shape import Shape
from warp.values import exact_string

_HEAD_BYTES = 30
_HASHED = re.compile(r".*_[0-9a-f]{32,62}", re.DOTALL)
_OF_AN_INDEX = re.compile(r".*_pkey[0-9]*", re.DOTALL)
"""What PostgreSQL calls the index of a primary key, which stands among the tables."""
_RESERVED_SCHEMA = re.compile(r"_*(pg_.*|information_schema|cartridge_warp)", re.DOTALL)


def identifier(name: str) -> str:
    """A collection's name as a table's: itself, or, where that cannot be, its head and a hash.

    No two names have one identifier, without anything having to be remembered: a hashed one has exactly 63 bytes, 128
    bits or more of them the name's SHA-256, and a name that looks like one is hashed itself.
    """
    return _hashed(name) if _OF_AN_INDEX.fullmatch(name) else _itself_or_hashed(name)


def schema_identifier(name: str) -> str:
    """A database's name as a schema's, as `identifier`; one that PostgreSQL or we have reserved gets a `_` in front.

    So does one that would be equal to such a name then.
    """
    reserved = _RESERVED_SCHEMA.fullmatch(head(name, len(name_bytes(name))))
    return _itself_or_hashed(f"_{name}" if reserved else name)


def _itself_or_hashed(name: str) -> str:
    looks_hashed = len(name_bytes(name)) == MAX_NAME_BYTES and _HASHED.fullmatch(name)
    return name if is_legal(name) and not looks_hashed else _hashed(name)


def _hashed(name: str) -> str:
    start = head(name, _HEAD_BYTES) + "_"
    return start + hashlib.sha256(name_bytes(name)).hexdigest()[: MAX_NAME_BYTES - len(start.encode())]


def parametric(*names: str) -> sql.SQL:
    """An identifier for a statement with parameters: psycopg takes a single per cent sign for one of them."""
    return sql.SQL(sql.Identifier(*names).as_string().replace("%", "%%"))


def target(ref: TableRef) -> tuple[str, str]:
    """Schema and name of the PostgreSQL table."""
    return schema_identifier(ref.schema), identifier(ref.table)


def qualified(ref: TableRef) -> str:
    """The PostgreSQL table as a statement names it."""
    return ".".join(map(quoted, target(ref)))


def quoted(name: str) -> str:
    """An identifier as a statement has it."""
    return '"' + name.replace('"', '""') + '"'


_PLAIN = {
    KeyKind.OBJECT_ID: re.compile(r"[0-9a-f]{24}"),
    KeyKind.INT: re.compile(r"-?[0-9]+"),
    KeyKind.UUID: re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
_LITERALS = frozenset({"null", "true", "false"})


def _plain_string(text: str) -> bool:
    """Whether a string cannot be mistaken for the JSON of another key, and is one that PostgreSQL's text takes."""
    return text[:1] not in ("{", '"') and text not in _LITERALS and exact_string(text) is text


TEXT = sql.SQL("text")
_KEY_TYPES = {KeyKind.INT: sql.SQL("bigint"), KeyKind.UUID: sql.SQL("uuid")}


def key_type(shape: Shape) -> sql.SQL:
    """The type of the key column."""
    return TEXT if shape.mixed_keys else _KEY_TYPES.get(shape.key_kind, TEXT)


def fits_key_column(shape: Shape, key: Key) -> bool:
    """Whether the key column can hold a key. The cell of one that does not fit is no text of the column's type."""
    return key_type(shape) == TEXT or key.kind == shape.key_kind


def key_cell(shape: Shape, key: Key) -> str:
    """The text of a key in the `_id` column. Two keys never share one: see `warp.evolution.shape.Shape.key_kind`."""
    if key.kind == shape.key_kind and (key.kind != KeyKind.STRING or _plain_string(key.text)):
        return key.text
    match key.kind:
        case KeyKind.OBJECT_ID:
            return f'{{"$oid":"{key.text}"}}'
        case KeyKind.INT:
            return f'{{"$numberLong":"{key.text}"}}'
        case KeyKind.UUID:
            encoded = base64.b64encode(UUID(key.text).bytes).decode()
            return f'{{"$binary":{{"base64":"{encoded}","subType":"04"}}}}'
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
        case {"$binary": {"base64": str() as encoded, "subType": "04"}}:
            return Key(KeyKind.UUID, str(UUID(bytes=base64.b64decode(encoded))))
        case _:
            return Key(KeyKind.JSON, cell)


_CODED, _PATH = "$utf8:", "$path:"


def extra_name(field: str) -> str:
    """The name of a field inside `_extra`: itself, or, for one inside of an object that is flattened, `$path:a.b`.

    Coded where that could be another field's, or jsonb cannot hold it.
    """
    is_path = PATH in field
    ambiguous = "." in field if is_path else field.startswith((_CODED, _PATH))
    name = _PATH + field.replace(PATH, ".") if is_path else field
    holds = exact_string(name) is name
    return name if holds and not ambiguous else _CODED + field.encode("utf-8", "surrogateescape").hex()


def field_name(extra: str) -> str:
    """The field that `extra_name` named."""
    if extra.startswith(_PATH):
        return extra.removeprefix(_PATH).replace(".", PATH)
    if extra.startswith(_CODED):
        return str(bytes.fromhex(extra.removeprefix(_CODED)), "utf-8", "surrogateescape")
    return extra
