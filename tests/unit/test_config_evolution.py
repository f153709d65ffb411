"""The rules of evolution in the configuration: levels, the environment, mistakes, and what `validate` shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from warp.cli.main import main
from warp.config import Config, load_config
from warp.errors import ConfigurationError
from warp.evolution.rules import Conflict, Rewrite

TEXT = """\
source: {connection_string: "mongodb://source"}
destination: {connection_string: "postgresql://destination/db"}
evolution: {rewrite: never}
schemas:
  - name: shop
    evolution: {conflict: text}
    tables: [{name: orders, evolution: {rewrite: always}}, {name: logs, evolution: {conflict: dead_letter}}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with rules at every level."""
    path = tmp_path / "c.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def rules(config: Config, table: str) -> tuple[Rewrite, Conflict]:
    """What holds for a table."""
    chosen = config.table("shop", table).rules
    return chosen.rewrite, chosen.conflict


def test_the_nearest_level_counts_for_each_of_the_two(path: Path) -> None:
    config = load_config(path, {})
    assert rules(config, "any") == (Rewrite.NEVER, Conflict.TEXT)
    assert rules(config, "orders") == (Rewrite.ALWAYS, Conflict.TEXT)
    assert rules(config, "logs") == (Rewrite.NEVER, Conflict.DEAD_LETTER)


def test_there_are_defaults_and_the_environment(path: Path) -> None:
    path.write_text(TEXT.partition("evolution")[0] + "schemas: [{name: shop}]")
    assert rules(load_config(path, {}), "any") == (Rewrite.SMALL, Conflict.EXTRA)
    environ = {"CARTRIDGE_WARP_EVOLUTION__CONFLICT": "jsonb"}
    assert rules(load_config(path, environ), "any") == (Rewrite.SMALL, Conflict.JSONB)


def test_what_is_no_rule_is_said(path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_config(path, {"CARTRIDGE_WARP_EVOLUTION__REWRITE": "sometimes"})
    [problem] = raised.value.problems
    assert "sometimes" in problem
    assert "always" in problem


def test_validate_shows_rules_that_are_not_the_defaults(path: Path) -> None:
    run = CliRunner().invoke(main, ["validate", "--config", str(path), "--json"])
    [schema] = json.loads(run.output)["schemas"]
    assert schema["evolution"] == {"rewrite": "never", "conflict": "text"}
    assert schema["tables"][0]["evolution"] == {"rewrite": "always", "conflict": "text"}
    shown = CliRunner().invoke(main, ["validate", "--config", str(path)]).output
    assert "evolution: rewrite never, conflict dead_letter" in shown
