"""What a valid configuration means: the examples, the levels and how they resolve, single and multi mode."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

import warp.destinations.registry
import warp.sources.registry
from warp.config import Config, TableSettings, load_config
from warp.config.fields import DESTINATION_TYPES, SOURCE_TYPES
from warp.errors import ConfigurationError

EXAMPLES = Path(__file__).parents[2] / "configs" / "examples"

SINGLE = """\
mode: single
single_schema_name: "ecommerce"
source: {type: mongodb, connection_string: "mongodb://localhost:27017", database: "ecommerce"}
destination: {type: postgresql, connection_string: "postgresql://localhost:5432/warehouse"}
schemas:
  - name: "ecommerce"
    mode: "stream"
    tables: [{name: "products", stream_batch_size: 500, deletion_strategy: "soft"}]
"""
MULTI = """\
mode: multi
schemas:
  - {name: "tenant_1", mode: "stream", default_batch_size: 1000}
  - {name: "tenant_2", mode: "batch", schedule: "*/5 * * * *", default_batch_size: 5000}
"""
CONNECTIONS = {
    "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": "mongodb://localhost:27017",
    "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING": "postgresql://localhost:5432/warehouse",
    "CARTRIDGE_WARP_REDIS__CONNECTION_STRING": "redis://localhost:6380/1",
}


def configured(**settings: Any) -> Config:
    servers = {
        "source": {"connection_string": "mongodb://localhost"},
        "destination": {"connection_string": "postgresql://localhost/warehouse"},
    }
    return Config.model_validate({**servers, "schemas": [{"name": "shop"}], **settings})


def written(directory: Path, text: str, name: str = "cartridge-warp.yaml") -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_single_schema_configuration(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SINGLE), {})

    assert [schema.name for schema in config.stream_schemas()] == ["ecommerce"]
    assert config.source.connection_string.get_secret_value() == "mongodb://localhost:27017"
    assert config.redis.connection_string.get_secret_value() == "redis://localhost:6379/0"
    assert config.table("ecommerce", "products") == TableSettings(500, "soft", 1)
    assert config.table("ecommerce", "orders") == TableSettings(5000, "hard", 1)


def test_the_multi_schema_configuration_takes_its_servers_from_the_environment(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MULTI), CONNECTIONS)

    assert [schema.name for schema in config.schemas] == ["tenant_1", "tenant_2"]
    assert [schema.name for schema in config.stream_schemas()] == ["tenant_1"]
    assert config.table("tenant_1", "users").batch_size == 1000
    assert config.redis.connection_string.get_secret_value() == "redis://localhost:6380/1"


def test_json_is_as_good_as_yaml(tmp_path: Path) -> None:
    config = configured(mode="single", single_schema_name="shop")
    path = written(
        tmp_path,
        '{"mode": "single", "single_schema_name": "shop", "source": {"connection_string": "mongodb://localhost"},'
        ' "destination": {"connection_string": "postgresql://localhost/warehouse"}}',
        "shop.json",
    )

    assert load_config(path, {}) == config


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_valid(example: Path) -> None:
    config = load_config(example, CONNECTIONS)

    assert config.schemas


@pytest.mark.parametrize(("text", "example"), [(SINGLE, "single-schema.yaml"), (MULTI, "multi-schema.yaml")])
def test_the_examples_say_what_is_documented(text: str, example: str) -> None:
    assert yaml.safe_load((EXAMPLES / example).read_text(encoding="utf-8")) == yaml.safe_load(text)


@pytest.mark.parametrize("setting", ["batch_size", "deletion_strategy", "partitions", "max_columns"])
@pytest.mark.parametrize("level", ["global", "schema", "table"])
def test_the_nearest_level_wins(setting: str, level: str) -> None:
    names = {
        "batch_size": ("default_batch_size", "default_batch_size", "stream_batch_size"),
        "deletion_strategy": ("deletion_strategy",) * 3,
        "partitions": ("partitions",) * 3,
        "max_columns": ("max_columns",) * 3,
    }[setting]
    values: tuple[Any, Any, Any] = ("hard", "hard", "hard") if setting == "deletion_strategy" else (2, 3, 4)
    depth = ["global", "schema", "table"].index(level)
    expected = "soft" if setting == "deletion_strategy" else values[depth]
    given = [(*values[:depth], expected)[i] if i <= depth else None for i in range(3)]
    top, schema, table = ({name: value} if value is not None else {} for name, value in zip(names, given, strict=True))

    config = configured(**top, schemas=[{"name": "shop", **schema, "tables": [{"name": "orders", **table}]}])

    assert getattr(config.table("shop", "orders"), setting) == expected


def test_single_mode_needs_no_list_of_schemas() -> None:
    config = configured(mode="single", single_schema_name="shop", schemas=[], partitions=4)

    assert [schema.name for schema in config.schemas] == ["shop"]
    assert config.table("shop", "orders").partitions == 4


@pytest.mark.parametrize(
    ("given", "size"), [(2**26, 2**26), ("100MB", 100_000_000), ("256MiB", 2**28), ("67108864", 2**26)]
)
def test_the_high_water_mark_may_have_a_unit(given: object, size: int) -> None:
    assert configured(log_high_water_mark=given).log_high_water_mark == size


def test_the_defaults() -> None:
    config = configured()

    assert (config.mode, config.web.host, config.web.port) == ("multi", "127.0.0.1", 8080)
    assert (config.monitoring.log_level, config.monitoring.log_format) == ("INFO", "auto")
    assert (config.monitoring.stall_seconds, config.monitoring.min_oplog_headroom_hours) == (60, 1.0)
    assert config.log_high_water_mark == 256 * 2**20
    assert (config.max_columns, config.table("shop", "any").max_columns) == (500, 500)


@pytest.mark.parametrize("name", ["cartridge_warp", "pg_logs", "information_schema", "public"])
def test_a_database_may_have_a_name_that_postgresql_reserves(name: str) -> None:
    assert configured(schemas=[{"name": name}]).schemas[0].name == name


def test_one_schema_may_be_chosen() -> None:
    config = configured(schemas=[{"name": "a"}, {"name": "b"}, {"name": "c", "mode": "batch", "schedule": "0 4 * * *"}])

    assert [schema.name for schema in config.stream_schemas("b")] == ["b"]
    assert config.stream_schemas("c") == ()
    assert [schema.name for schema in config.selected_schemas("c")] == ["c"]


def test_an_unknown_schema_is_an_error_that_names_the_known_ones() -> None:
    config = configured(schemas=[{"name": "a"}, {"name": "b"}])

    with pytest.raises(ConfigurationError, match="'shop' is not configured; known: a, b"):
        config.stream_schemas("shop")
    with pytest.raises(ConfigurationError, match="known: a, b"):
        config.table("shop", "orders")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        configured().partitions = 2  # type: ignore[misc]


def test_a_configuration_built_from_its_own_parts_obeys_the_same_rules() -> None:
    config = configured()

    with pytest.raises(ValidationError, match="a name of its own"):
        Config(source=config.source, destination=config.destination, schemas=config.schemas * 2)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgres://user:secret@h1:5432,h2:5433/db?sslmode=require",
        "postgresql://[::1]:5432/db",
        "postgresql://%2Frun%2Fpostgresql/db",
        "postgresql:///db?host=/run/postgresql",
        "host=localhost dbname=warehouse password='it is' connect_timeout=3",
        r"host = localhost password = 'a\'b c'",
    ],
)
def test_postgresql_connection_strings_in_all_their_forms(dsn: str) -> None:
    config = configured(destination={"connection_string": dsn})

    assert config.destination.connection_string.get_secret_value() == dsn


@pytest.mark.parametrize(
    "dsn", ["mongodb+srv://user:p%40ss@cluster.example", "mongodb://a:27017,b:27018/?replicaSet=rs0&appName=a@b"]
)
def test_mongodb_connection_strings_in_all_their_forms(dsn: str) -> None:
    assert configured(source={"connection_string": dsn})


@pytest.mark.parametrize("dsn", ["rediss://:secret@cache:6380/0", "unix:///run/redis.sock?db=2", "unix://u:p@/r.sock"])
def test_redis_connection_strings_in_all_their_forms(dsn: str) -> None:
    assert configured(redis={"connection_string": dsn})


@pytest.mark.parametrize(
    "schedule", ["*/5 * * * *", "0 4,16 1-15/2 jan-mar mon-fri", "59 23 31 12 7", "0-30/10 * * * 0"]
)
def test_cron_schedules(schedule: str) -> None:
    assert configured(schemas=[{"name": "shop", "mode": "batch", "schedule": schedule}])


def test_the_types_are_those_of_the_registries() -> None:
    assert tuple(SOURCE_TYPES) == warp.sources.registry.known_types()
    assert tuple(DESTINATION_TYPES) == warp.destinations.registry.known_types()
