"""The metric of values kept in `_extra`: by field, with a bounded number of labels that any scraper takes."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY, generate_latest

from warp.change import TableRef
from warp.monitoring import metrics


def _value(table: str, field: str) -> float | None:
    labels = {"schema": "metered", "table": table, "field": field, "reason": "null"}
    return REGISTRY.get_sample_value("cartridge_warp_values_kept_in_extra_total", labels)


def test_the_first_fields_of_a_table_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_MOST_FIELDS", 3)
    for number in range(10):
        metrics.kept(TableRef("metered", "one"), f"f{number % 5}", "null", 2)
        metrics.kept(TableRef("metered", "two"), "f9", "null", 1)
    assert [_value("one", f"f{number}") for number in range(5)] == [4, 4, 4, None, None]
    assert (_value("one", metrics.OTHER_FIELDS), _value("two", "f9")) == (8, 10)


def test_names_that_are_no_label_are_shown_otherwise() -> None:
    ref = TableRef("metered", "odd")
    for field in ("\udcff", "a\0b", "x" * 5000, ""):
        metrics.kept(ref, field, "null", 1)
    assert [_value("odd", name) for name in ("\\udcff", "a.b", "x" * 100, "")] == [1, 1, 1, 1]
    assert b'table="odd"' in generate_latest()
