"""PostgreSQL looked at and left as it is: `warp.destinations.survey.Survey`, in transactions that are read only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg

from warp.change import TableRef, Write
from warp.destinations.postgresql.client import Client
from warp.destinations.postgresql.errors import SERVER
from warp.destinations.postgresql.names import target
from warp.destinations.postgresql.rows import EXTRA, KEY, TS, lines
from warp.destinations.postgresql.transaction import key_type
from warp.destinations.postgresql.types import SQL_TYPES
from warp.destinations.survey import MetadataTables
from warp.evolution.shape import Shape
from warp.metadata import registry
from warp.metadata.migrate import METADATA_SCHEMA, migrations, require_migrated

_OWN_TYPES = {TS: "bigint", EXTRA: "jsonb"}
_SOFT_TYPES = {"is_deleted": "boolean", "deleted_at": SQL_TYPES_TIMESTAMP}


def open_survey(connection_string: str) -> PostgresSurvey:
    """Connect lazily: the first call finds out whether the server is there."""
    return PostgresSurvey(Client(connection_string))
