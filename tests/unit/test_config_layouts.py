"""Layouts in the configuration: levels, the environment, what is said about mistakes, and what `validate` shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner

from warp.cli.main import main
from warp.config import Config, load_config
from warp.errors import ConfigurationError
from warp.evolution.rules import Layout

SERVERS = """\
source: {connection_string: "mongodb://source"}
destination: {connection_string: "postgresql://destination/db"}
"""


class Load(Protocol):
    """Loads a configuration of this text, added to the servers."""

    def __call__(self, text: str, **environ: str) -> Config: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    path = tmp_path / "c.yaml"

    def load(text: str, **environ: str) -> Config:
        path.write_text(SERVERS + text, encoding="utf-8")
        return load_config(path, environ)

    return load


def laid_out(config: Config, table: str) -> tuple[Layout, int]:
    """As the settings say, which is as the rules for the table's shape say."""
    settings = config.table("shop", table)
    assert (settings.rules.layout, settings.rules.flatten_depth) == (settings.layout, settings.flatten_depth)
    return settings.layout, settings.flatten_depth


def test_the_nearest_level_counts(load: Load) -> None:
    config = load(
        """\
flatten_depth: 3
schemas:
  - name: shop
    tables: [{name: flat, flatten_depth: 0}, {name: whole, layout: document}, {name: deep, flatten_depth: 10}]
"""
    )
    assert laid_out(config, "any") == (Layout.COLUMNS, 3)
    assert laid_out(config, "flat") == (Layout.COLUMNS, 0)
    assert laid_out(config, "deep") == (Layout.COLUMNS, 10)
    # What is inherited is for tables with columns.
    assert laid_out(config, "whole") == (Layout.DOCUMENT, 0)
    assert config.table("shop", "flat").fields is None
    config = load("layout: document\nschemas: [{name: shop, tables: [{name: a, layout: columns, flatten_depth: 1}]}]")
    assert laid_out(config, "any") == (Layout.DOCUMENT, 0)
    assert laid_out(config, "a") == (Layout.COLUMNS, 1)


def test_the_environment_says_it_as_well(load: Load) -> None:
    text = "schemas: [{name: shop}]"
    assert laid_out(load(text, CARTRIDGE_WARP_FLATTEN_DEPTH="2"), "any") == (Layout.COLUMNS, 2)
    environ = {"CARTRIDGE_WARP_LAYOUT": "document", "CARTRIDGE_WARP_FLATTEN_DEPTH": "0"}
    assert laid_out(load(text, **environ), "any") == (Layout.DOCUMENT, 0)


ONLY = "0: only layout: columns is flattened, and this is"


@pytest.mark.parametrize(
    ("text", "place", "layout"),
    [
        ("layout: document\nflatten_depth: 2\nschemas: [{name: shop}]", "flatten_depth", "document"),
        ("schemas: [{name: shop, layout: history, flatten_depth: 2}]", "schemas[0].flatten_depth", "history"),
        ("layout: document\nschemas: [{name: shop, flatten_depth: 2}]", "schemas[0].flatten_depth", "document"),
        (
            "schemas: [{name: shop, layout: document, tables: [{name: a}, {name: b, flatten_depth: 2}]}]",
            "schemas[0].tables[1].flatten_depth",
            "document",
        ),
    ],
)
def test_a_depth_where_nothing_is_flattened_is_an_error(load: Load, text: str, place: str, layout: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        load(text)
    [problem] = failure.value.problems
    assert place in problem
    assert problem.endswith(f"found 2; allowed: {ONLY} {layout}")


@pytest.mark.parametrize("text", ["layout: rows", "flatten_depth: 11", "flatten_depth: -1", "flatten_depth: deep"])
def test_what_no_layout_and_no_depth_is(load: Load, text: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        load(f"{text}\nschemas: [{{name: shop}}]")
    [problem] = failure.value.problems
    assert ("'columns', 'document' or 'history'" if "layout" in text else "a whole number from 0 to 10") in problem


def test_validate_shows_what_is_no_default(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    tables = "[{name: flat, flatten_depth: 2}, {name: whole, layout: document}, {name: log, layout: history}]"
    path.write_text(f"{SERVERS}schemas: [{{name: shop, tables: {tables}}}]", encoding="utf-8")
    lines = CliRunner().invoke(main, ["validate", "--config", str(path)]).output.splitlines()
    said = {line.split()[0]: line for line in lines if "changes a step" in line}
    assert said["flat"].endswith(", objects flattened down to 2")
    assert said["whole"].endswith(", layout document")
    assert said["log"].endswith(", layout history")
    assert said["every"].endswith("1 partition")
    [schema] = json.loads(CliRunner().invoke(main, ["validate", "--json", "--config", str(path)]).stdout)["schemas"]
    shown = [(table.get("layout"), table.get("flatten_depth")) for table in [*schema["tables"], schema]]
    assert shown == [(None, 2), ("document", None), ("history", None), (None, None)]
