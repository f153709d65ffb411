"""A plain mirror: first load, stream, several collections and schemas, soft deletion."""

from __future__ import annotations

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints
from tests.support.writer import COLLECTIONS


def test_a_mirror_loads_what_exists_and_follows_what_changes(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=1)
    writer.preload(500)
    writer.start()
    mirror.start()
    mirror.wait_caught_up()
    mirror.wait_applied(1000)
    tables = mirror.end_identical(writer)
    assert {table for _, table in tables} == set(COLLECTIONS)
    assert min(writer.counts.values()) > 0
