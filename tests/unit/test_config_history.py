"""The layout `history` in the configuration: rows of it are never deleted, whatever the source drops."""

from __future__ import annotations

from pathlib import Path

import pytest

from warp.config import load_config
from warp.errors import ConfigurationError

SERVERS = """\
source: {connection_string: "mongodb://source"}
destination: {connection_string: "postgresql://destination/db"}
"""


def load(path: Path, text: str) -> object:
    path.write_text(SERVERS + text, encoding="utf-8")
    return load_config(path, {})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("layout: history\non_drop: drop\nschemas: [{name: shop}]", 'on_drop: found "drop"'),
        ("on_drop: truncate\nschemas: [{name: shop, layout: history}]", 'schemas[0].on_drop: found "truncate"'),
        ("layout: history\nschemas: [{name: shop, on_drop: drop}]", 'schemas[0].on_drop: found "drop"'),
        (
            "schemas: [{name: shop, on_drop: drop, tables: [{name: a}, {name: b, layout: history}]}]",
            'schemas[0].tables[1].on_drop: found "drop"',
        ),
    ],
)
def test_a_history_keeps_its_rows(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        load(tmp_path / "c.yaml", text)
    [problem] = failure.value.problems
    assert problem.partition(": ")[2] == f"{where}; allowed: keep, where layout is history: no row of it is deleted"


@pytest.mark.parametrize(
    "text",
    [
        "layout: history\nschemas: [{name: shop}]",
        "on_drop: drop\nschemas: [{name: shop, tables: [{name: a, layout: history, on_drop: keep}]}]",
        "layout: history\nschemas: [{name: shop, layout: document, on_drop: drop}]",
    ],
)
def test_other_tables_may_lose_theirs(tmp_path: Path, text: str) -> None:
    assert load(tmp_path / "c.yaml", text)
