"""Names that no terminal should be sent as they are, in what every command prints."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support import raw_documents
from tests.support.pipeline import Pipeline
from tests.unit.raw_bson import document, string
from warp.cli.main import main

TABLE = "or\x1bders"
NAMES = (b"\xff\xfe", b"\x1b[31m", b"\xc2\x9b31m")
"""Not UTF-8; and what colours a terminal red, in two ways."""
COMMANDS = ("plan", "run --dry-run", "status", "verify", "schema history", "schema diff")


@pytest.fixture
def mirrored(pipeline: Pipeline, database: Database[dict[str, Any]]) -> None:
    """Such names are columns, and kept in `_extra`."""
    for number, value in enumerate(((0x10, struct.pack("<i", 1)), (0x02, string(b"x")), (0x0A, b""))):
        fields = [(name, value) for name in NAMES]
        inner = (0x03, document([(b"$oid", value), *fields]))
        raw = document([(b"_id", (0x10, struct.pack("<i", number))), *fields, (b"in\x1b", inner)])
        assert not raw_documents.insert(database, TABLE, [raw])
    pipeline.load(TABLE)


@pytest.mark.usefixtures("mirrored")
def test_every_command_shows_names_and_sends_no_terminal_what_they_hold(config_file: ConfigFile) -> None:
    config = str(config_file())
    for command in COMMANDS:
        result = CliRunner().invoke(main, [*command.split(), "--config", config], env={"COLUMNS": "500"})
        assert result.exit_code in (0, 3), (command, result.output, result.exception)
        assert result.output.encode()
        assert not {"\x1b", "\x9b"} & set(result.output), command
        assert "or\\u001bders" in result.output, command
