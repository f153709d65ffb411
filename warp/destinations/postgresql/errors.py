"""psycopg's errors as cartridge-warp's, at the edge: nothing further in knows psycopg.

Codes: PostgreSQL manual, Appendix A, "PostgreSQL Error Codes". What is done about each class: `warp.retry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from warp.errors import Fatal, Poison, Refused, ServerUnreachable, Transient, WarpError

SERVER = "PostgreSQL"

_UNDO = "undo what was altered in PostgreSQL by hand"
_BY_HAND = "a trigger, rule or function was added by hand, and fails: mend it or drop it"
_USER = "check the user and its password, and pg_hba.conf"
_DATABASE = "create the database, or correct its name in destination.connection_string"
_POOLER = "connect to PostgreSQL itself, or to a pooler in session mode"
_REPLAY = "then: cartridge-warp dlq replay"


class Meaning(NamedTuple):
    """What a code says, and what a person can do about it."""

    error: type[Transient | Fatal | Poison]
    remedy: str | None


MEANINGS: Mapping[str, Meaning] = {
    # Class 09, 27, 2F, 38, 39, P0: what runs inside of a statement.
    "09": Meaning(Fatal, _BY_HAND),
    "27": Meaning(Fatal, _BY_HAND),
    "2F": Meaning(Fatal, _BY_HAND),
    "38": Meaning(Fatal, _BY_HAND),
    "39": Meaning(Fatal, _BY_HAND),
    "P0": Meaning(Fatal, _BY_HAND),
    "P0001": Meaning(Poison, f"a trigger that was added by hand refuses the row: drop it, {_REPLAY}"),
    # Class 0A, feature not supported; 21, cardinality violation; 2B, dependent objects; HV, foreign tables.
    "0A": Meaning(Fatal, _UNDO),
    "21": Meaning(Fatal, _UNDO),
    "2B": Meaning(Fatal, "drop what was made by hand and depends on the table"),
    "HV": Meaning(Fatal, "a foreign table was put in the table's place: bring the table back"),
    # Class 22, data exception; 23, integrity violation; 44, WITH CHECK OPTION: this row can never be stored.
    "22": Meaning(Poison, None),
    "23": Meaning(Poison, f"drop the constraint, which was added by hand, or change the document; {_REPLAY}"),
    "44": Meaning(Poison, f"drop the view's check option, {_REPLAY}"),
    # Class 25, invalid transaction state, passes: 25006 read-only after a failover, 25P03 idle in transaction.
    "25006": Meaning(Transient, "destination.connection_string must lead to the primary"),
    # Class 26 and prepared statements: a pooler hands on statements of other sessions.
    "26": Meaning(Fatal, _POOLER),
    "42P05": Meaning(Fatal, _POOLER),
    # Class 28, invalid authorization; 0P, invalid role; 3D, no such database.
    "28": Meaning(Refused, _USER),
    "0P": Meaning(Refused, _USER),
    "3D": Meaning(Refused, _DATABASE),
    "57P04": Meaning(Refused, _DATABASE),
    # Class 3F and 42: what our statements name is not there, or is something else than we made.
    "3F": Meaning(Fatal, "the schema was dropped or renamed by hand: bring it back"),
    "42": Meaning(Fatal, _UNDO),
    "42501": Meaning(
        Fatal, "grant the privileges: CREATE on the database, and ownership of the mirrored tables and their schema"
    ),
    "42P01": Meaning(Fatal, "the table was dropped or renamed by hand: bring it back"),
    "42703": Meaning(Fatal, "a column was dropped or renamed by hand: bring it back"),
    "42701": Meaning(Fatal, "a column was added by hand whose name is needed: rename it or drop it"),
    "42804": Meaning(Fatal, "a column's type was altered by hand: alter it back"),
    "428C9": Meaning(Fatal, "a column was made a generated one by hand: alter it back"),
    "42809": Meaning(Fatal, "something else was put in the table's place: bring the table back"),
    "42P07": Meaning(Fatal, "something of that name was made by hand: rename it or drop it"),
    "42710": Meaning(Fatal, "something of that name was made by hand: rename it or drop it"),
    "42P10": Meaning(
        Fatal,
        "the primary key was dropped by hand: ALTER TABLE … ADD PRIMARY KEY (_id), or, with layout: history, "
        "(_id, _warp_ts, position_hash)",
    ),
    "42P06": Meaning(Transient, None),  # another worker has just made the schema
    # Class 53, insufficient resources, passes once somebody has made room; 54, a limit that the row exceeds.
    "53100": Meaning(Transient, "free some space on PostgreSQL's disk"),
    "53200": Meaning(Transient, "give PostgreSQL more memory"),
    "53300": Meaning(Transient, "raise max_connections, or run fewer processes"),
    "54": Meaning(Poison, f"drop the columns that were added by hand, {_REPLAY}"),
    "54011": Meaning(
        Fatal, "the table has had 1,600 columns, dropped ones included: drop columns added by hand, VACUUM FULL"
    ),
    # Class 55, a state that forbids it (55P03, lock not available, and 55006, in use, pass); 57, intervention, passes.
    "55000": Meaning(Fatal, _UNDO),
    "55P02": Meaning(Fatal, _UNDO),
    # Class 58 and XX, what fails in PostgreSQL itself.
    "58": Meaning(Transient, "look at PostgreSQL's log"),
    "XX001": Meaning(Fatal, "data is corrupted: look at PostgreSQL's log, restore from a backup"),
    "XX002": Meaning(Fatal, "an index is corrupted: REINDEX TABLE"),
}
"""By SQLSTATE or its class. Any other one passes: it is Transient."""

LONGEST_INDEX_ROW = 2704
"""Bytes, in a B-tree of version 4 (PostgreSQL's BTMaxItemSize)."""
_INDEX_ROW = re.compile(r"index row (?:size|requires) (?P<bytes>\d+)")
_PRIMARY_KEY = re.compile(r"_pkey\d*$")
_AT_CONNECTING = (
    (re.compile(r"authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects|not permitted to log in"), _USER),
    (re.compile(r'role ".*" does not exist'), _USER),
    (re.compile(r'database ".*" does not exist|permission denied for database'), _DATABASE),
)
"""libpq has no SQLSTATE for a connection that is refused: only the server's words."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise this project's errors for psycopg's. Poison carries no values: PostgreSQL's DETAIL is left out."""
    try:
        yield
    except psycopg.Error as error:
        raise _translate(error, where) from error


def meaning(state: str) -> Meaning:
    """What a SQLSTATE says, by itself or by its class."""
    return MEANINGS.get(state) or MEANINGS.get(state[:2]) or Meaning(Transient, None)


def refuses_for_good(error: psycopg.Error) -> bool:
    """Whether PostgreSQL refuses the statement for a reason that does not pass."""
    return error.sqlstate is not None and meaning(error.sqlstate).error in (Fatal, Poison)


def refusal(error: psycopg.Error) -> str:
    """Why PostgreSQL refuses to alter a table: words without values."""
    if (error.sqlstate or "")[:2] not in _SAY_NAMES_ALONE:
        return type(error).__name__
    words = [error.diag.message_primary or type(error).__name__, error.diag.message_detail]
    return ": ".join(" ".join(each.split()) for each in words if each)


_SAY_NAMES_ALONE = frozenset({"0A", "2B", "42"})


def _translate(error: psycopg.Error, where: str) -> WarpError:
    state = error.sqlstate or ""
    reason = " ".join((error.diag.message_primary or str(error)).split())
    if not state or state.startswith("08"):
        return _unconnected(error, reason, where)
    what, remedy = meaning(state)
    if error.diag.schema_name == "pg_catalog" or reason == _REPLANNED:
        # Another worker is making the same at this very moment; a statement was planned before a table evolved.
        what, remedy = Transient, None
    if too_long := _INDEX_ROW.match(reason):
        return _too_long(type(error).__name__, int(too_long["bytes"]), error.diag.constraint_name)
    if what is Poison:
        return Poison(f"{type(error).__name__}: {_refusal(state, error)}", remedy=remedy)
    return what(f"PostgreSQL at {where}: {reason}", remedy=remedy)


def _too_long(name: str, size: int, index: str | None) -> Poison:
    """A value has no room in an index; without a name it may be any."""
    if index is None or _PRIMARY_KEY.search(index):
        return Poison(
            f"{name}: the document's _id is too long for an index of PostgreSQL: it takes {size:,} bytes there, "
            f"compressed, of {LONGEST_INDEX_ROW:,} at most",
            remedy="give the document a shorter _id: insert it anew at the source, and delete this one, "
            "which settles the letter (2,600 bytes of text have room)",
        )
    return Poison(
        f'{name}: a value is too long for the index "{index}": it takes {size:,} bytes there, compressed, of '
        f"{LONGEST_INDEX_ROW:,} at most",
        remedy=f"drop the index, which was added by hand, {_REPLAY}",
    )


def _unconnected(error: psycopg.Error, reason: str, where: str) -> WarpError:
    if isinstance(error, psycopg.DataError):  # refused before it was sent
        return Poison(f"{type(error).__name__}: {_REFUSALS['22']}")
    if not isinstance(error, psycopg.OperationalError):
        return Transient(f"PostgreSQL at {where}: {reason}")
    for words, remedy in _AT_CONNECTING:
        if words.search(reason):
            return Refused(f"PostgreSQL at {where}: {reason}", remedy=remedy)
    return ServerUnreachable(SERVER, where, reason)


_REPLANNED = "cached plan must not change result type"
_REFUSALS = {
    "22": "PostgreSQL refuses a value of the row",
    "54": "the row is larger than PostgreSQL allows",
    "P0": "a trigger refuses the row",
}


def _refusal(state: str, error: psycopg.Error) -> str:
    """Names alone: of constraints and columns."""
    if state[:2] in _REFUSALS:
        return _REFUSALS[state[:2]]
    if error.diag.constraint_name:
        return f'the row breaks the constraint "{error.diag.constraint_name}" of its table'
    if error.diag.column_name:
        return f'the column "{error.diag.column_name}" takes no NULL'
    return "the row breaks a constraint of its table"
