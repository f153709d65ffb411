"""The verdict on a mirror: `cartridge-warp verify` as a person runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.fleet import COMMAND

VERIFY_SECONDS = 120.0


def verify(config: Path) -> tuple[int, dict[str, Any]]:
    """Run `verify --json`; its exit code and its report."""
    command = [str(COMMAND), "verify", "--json", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=VERIFY_SECONDS, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _interim(config: Path) -> tuple[int, dict[str, Any]]:
    from warp.change import TableRef
    from warp.config import load_config
    from warp.connections import open_connections
    from warp.sources.base import Chunk

    loaded = load_config(config, {})
    connections = open_connections(loaded)
    tables = []
    for schema in loaded.schemas:
        shapes = connections.destination.tables(schema.name)
        for table in connections.source.tables(schema.name):
            ref = TableRef(schema.name, table.name)
            shape = shapes.get(table.name)
            missing, different, keys = 0, [], set()
            for batch in connections.source.scan(*ref, Chunk(lower=None, upper=None)):
                rows = connections.destination.rows(ref, shape, [key for key, _ in batch]) if shape else {}
                keys |= {key for key, _ in batch}
                missing += sum(key not in rows for key, _ in batch)
                different += [
                    (key, names, document, rows[key])
                    for key, document in batch
                    if key in rows and (names := connections.source.differences(document, key, rows[key]))
                ]
            extra = (
                sum(
                    len([key for key in batch if key not in keys]) for batch in connections.destination.keys(ref, shape)
                )
                if shape
                else 0
            )
            tables.append(
                {
                    "schema": ref.schema,
                    "table": ref.table,
                    "source_documents": len(keys),
                    "target_rows": connections.destination.count(ref, shape) if shape else 0,
                    "missing": missing,
                    "extra": extra,
                    "different": different[:5],
                }
            )
    connections.close()
    bad = any(t["missing"] or t["extra"] or t["different"] for t in tables)
    return (3 if bad else 0), {"identical": not bad, "tables": tables}


def assert_identical(config: Path) -> dict[tuple[str, str], int]:
    """Not one document differs; returns the number of documents of each table."""
    from importlib.util import find_spec

    code, report = verify(config) if find_spec("warp.cli.verify") else _interim(config)
    tables = report["tables"]
    different = [table for table in tables if table["missing"] or table["extra"] or table["different"]]
    assert (code, report["identical"], different) == (0, True, []), report
    for table in tables:
        assert table["source_documents"] == table["target_rows"], table
    return {(table["schema"], table["table"]): table["source_documents"] for table in tables}
