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


def assert_identical(config: Path) -> dict[tuple[str, str], int]:
    """Not one document differs; returns the number of documents of each table."""
    code, report = verify(config)
    tables = report["tables"]
    different = [table for table in tables if table["missing"] or table["extra"] or table["different"]]
    assert (code, report["identical"], different) == (0, True, []), report
    for table in tables:
        assert table["source_documents"] == table["target_rows"], table
    return {(table["schema"], table["table"]): table["source_documents"] for table in tables}
