"""Filters in the configuration: levels, the environment, the salt, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner

from warp.cli.main import main
from warp.config import Config, load_config
from warp.errors import ConfigurationError
from warp.filters import REDACTED
from warp.testing.documents import JSON

SERVERS = """\
source: {connection_string: "mongodb://source"}
destination: {connection_string: "postgresql://destination/db"}
"""
SHOP = SERVERS + "schemas: [{name: shop}]\n"
SALT = "correct horse battery"
SALTED = {"CARTRIDGE_WARP_MASK_SALT": SALT}
DOCUMENT = {"_id": 1, "email": "a@b", "phone": "5", "note": "x", "v": 1}


class Load(Protocol):
    """Loads a configuration of this text."""

    def __call__(self, text: str, **environ: str) -> Config: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    path = tmp_path / "c.yaml"

    def load(text: str, **environ: str) -> Config:
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ)

    return load


def filtered(config: Config, table: str = "orders") -> dict[str, Any]:
    fields = config.table("shop", table).fields
    return dict(DOCUMENT) if fields is None else fields.apply(DOCUMENT, JSON)


def problem_of(load: Load, text: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as failure:
        load(text, **environ)
    [problem] = failure.value.problems
    return problem.partition(": ")[2]


def test_without_filters_there_is_none(load: Load) -> None:
    config = load(SHOP)
    assert config.table("shop", "orders").fields is None
    assert config.table_filter("shop") is None
    assert config.mirrors("shop", "orders")


def test_the_levels_add_up(load: Load) -> None:
    config = load(
        SERVERS
        + """\
exclude_fields: [phone]
mask: {email: redact}
schemas:
  - name: shop
    exclude_fields: ["n*"]
    tables:
      - {name: orders, include_fields: [email, phone, v], mask: {email: null}}
      - {name: carts}
"""
    )
    assert filtered(config) == {"_id": 1, "email": None, "v": 1}
    assert filtered(config, "carts") == filtered(config, "unnamed") == {"_id": 1, "email": REDACTED, "v": 1}


def test_tables_are_excluded_at_every_level(load: Load) -> None:
    config = load(
        SERVERS
        + """\
exclude_tables: ["tmp_*"]
schemas:
  - name: shop
    include_tables: [orders, carts, tmp_carts]
    tables: [{name: carts, exclude: true}]
  - name: other
"""
    )
    assert [name for name in ("orders", "carts", "tmp_carts", "users") if config.mirrors("shop", name)] == ["orders"]
    assert config.mirrors("other", "users")
    assert not config.mirrors("other", "tmp_users")


def test_the_environment_sets_filters(load: Load) -> None:
    config = load(
        SHOP,
        CARTRIDGE_WARP_EXCLUDE_FIELDS='["phone"]',
        CARTRIDGE_WARP_INCLUDE_TABLES='["orders"]',
        CARTRIDGE_WARP_MASK='{"email": "redact", "note": null}',
    )
    assert filtered(config) == {"_id": 1, "email": REDACTED, "note": None, "v": 1}
    assert (config.mirrors("shop", "orders"), config.mirrors("shop", "carts")) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        SHOP + "mask: {email: hash}\n",
        SERVERS + "schemas: [{name: shop, mask: {email: hash}}]\n",
        SERVERS + "schemas: [{name: shop, tables: [{name: orders, mask: {email: hash}}]}]\n",
    ],
)
def test_hash_needs_a_salt(load: Load, text: str) -> None:
    problem = problem_of(load, text)
    assert problem.startswith("mask_salt: nothing given; allowed: a secret of 16 characters or more")
    assert "CARTRIDGE_WARP_MASK_SALT" in problem
    assert len(filtered(load(text, **SALTED))["email"]) == 64


@pytest.mark.parametrize("value", [SALT[:15], "horse", "'https://horse'", "[horse horse horse]", "{horse: horse}"])
def test_a_salt_that_cannot_be_one_is_not_shown(load: Load, value: str) -> None:
    assert "horse" not in problem_of(load, f"{SHOP}mask_salt: {value}\n")


def test_the_salt_is_shown_nowhere(tmp_path: Path, load: Load) -> None:
    config = load(SHOP + "mask: {email: hash}\n", **SALTED)
    assert SALT not in repr(config) + str(config.model_dump()) + repr(config.table("shop", "orders"))
    for options in ([], ["--json"]):
        result = CliRunner().invoke(main, ["validate", "--config", str(tmp_path / "c.yaml"), *options], env=SALTED)
        assert result.exit_code == 0, result.output
        assert SALT not in result.output
    assert '"mask": {"email": "hash"}' in result.output


@pytest.mark.parametrize("name", ["_id", "_id.customer"])
@pytest.mark.parametrize("setting", ["exclude_fields: [{}]", "mask: {{{}: redact}}"])
def test_the_key_cannot_be_excluded_or_masked(load: Load, name: str, setting: str) -> None:
    problem = problem_of(load, f"{SHOP}{setting.format(name)}\n")
    assert "allowed: a field other than _id, the key of its row, which cannot be excluded or masked" in problem


@pytest.mark.parametrize(
    "setting", ["mask: {email: md5}", "exclude_fields: email", "mask: email", "exclude_tables: ['']"]
)
def test_mistakes_are_told(load: Load, setting: str) -> None:
    assert problem_of(load, f"{SHOP}{setting}\n").startswith(setting.partition(":")[0])
