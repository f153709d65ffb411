"""psycopg's errors as cartridge-warp's, at the edge: nothing further in knows psycopg.

Classes of SQLSTATE: PostgreSQL manual, Appendix A.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from warp.errors import Fatal, Poison, ServerUnreachable, Transient

SERVER = "PostgreSQL"

_FATAL_CLASSES = {
    "28": "check the user and its password",
    "3D": "create the database, or correct its name in destination.connection_string",
    "42": "undo what was altered in PostgreSQL by hand",
    "0A": "undo what was altered in PostgreSQL by hand",
}
"""SQLSTATE classes that only a person can change, with the remedy."""
_FATAL_STATES = {
    "42501": "grant the privileges: CREATE on the database, and ownership of the mirrored tables",
    "42P01": "the table was dropped or renamed by hand: bring it back",
    "42703": "a column was dropped or renamed by hand: bring it back",
    "42804": "a column's type was altered by hand: alter it back",
}
"""A remedy of its own for what is met most."""
_POISON_CLASSES = frozenset({"22", "23", "54"})
"""Data exception, integrity violation, program limit exceeded: this row can never be stored."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise this project's errors for psycopg's. Poison carries no values: PostgreSQL's DETAIL is left out."""
    try:
        yield
    except psycopg.Error as error:
        raise _translate(error, where) from error


def _translate(error: psycopg.Error, where: str) -> Exception:
    state = error.sqlstate or ""
    reason = " ".join((error.diag.message_primary or str(error)).split())
    if state[:2] in _FATAL_CLASSES or "authentication failed" in reason:
        remedy = _FATAL_STATES.get(state) or _FATAL_CLASSES.get(state[:2], _FATAL_CLASSES["28"])
        return Fatal(f"PostgreSQL at {where}: {reason}", remedy=remedy)
    if state[:2] in _POISON_CLASSES:
        return Poison(f"{error.__class__.__name__}: {_LIMIT if state[:2] == '54' else _NAMES[state[:2]]}")
    if state == "" and isinstance(error, psycopg.OperationalError):
        return ServerUnreachable(SERVER, where, reason)
    return Transient(f"PostgreSQL at {where}: {reason}")


_LIMIT = "the row is larger than PostgreSQL allows (a key of more than 2,704 bytes, or a row too wide)"
_NAMES = {"22": "PostgreSQL refuses a value of the row", "23": "the row breaks a constraint of its table"}
