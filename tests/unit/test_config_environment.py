"""The environment over the file, and which file it is."""

from pathlib import Path

import pytest

from warp.config import load_config
from warp.errors import ConfigurationError

FILE = """\
source: {connection_string: "mongodb://file"}
destination: {connection_string: "postgresql://file/db"}
schemas: [{name: shop}]
"""
SERVERS = {
    "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": "mongodb://env",
    "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING": "postgresql://env/db",
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that is not where it would be found by itself; the working directory holds none."""
    elsewhere = tmp_path / "elsewhere"
    empty = tmp_path / "empty"
    elsewhere.mkdir()
    empty.mkdir()
    monkeypatch.chdir(empty)
    path = elsewhere / "shop.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_variable_overrides_one_value_and_leaves_the_rest(file: Path) -> None:
    config = load_config(file, {"CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": "mongodb://env"})

    assert config.source.connection_string.get_secret_value() == "mongodb://env"
    assert config.destination.connection_string.get_secret_value() == "postgresql://file/db"


def test_values_of_every_kind(file: Path) -> None:
    config = load_config(
        file,
        {
            "CARTRIDGE_WARP_PARTITIONS": "4",
            "CARTRIDGE_WARP_LOG_HIGH_WATER_MARK": "64MiB",
            "CARTRIDGE_WARP_MONITORING__LOG_LEVEL": "debug",
            "CARTRIDGE_WARP_WEB__PORT": "9000",
        },
    )

    assert (config.partitions, config.log_high_water_mark) == (4, 2**26)
    assert (config.monitoring.log_level, config.web.port) == ("DEBUG", 9000)


def test_a_list_is_given_whole_as_json(file: Path) -> None:
    config = load_config(
        file, {"CARTRIDGE_WARP_SCHEMAS": '[{"name": "a", "tables": [{"name": "t", "partitions": 2}]}]'}
    )

    assert [schema.name for schema in config.schemas] == ["a"]
    assert config.table("a", "t").partitions == 2


def test_a_section_may_be_json_and_a_deeper_variable_adds_to_it(file: Path) -> None:
    environ = {"CARTRIDGE_WARP_WEB__HOST": "::1", "CARTRIDGE_WARP_WEB": '{"host": "0.0.0.0", "port": 9000}'}

    config = load_config(file, environ)

    assert (config.web.host, config.web.port) == ("::1", 9000)


def test_an_empty_variable_counts_as_not_set(file: Path) -> None:
    config = load_config(file, {"CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": "", "CARTRIDGE_WARP_WEB__PORT": ""})

    assert config.source.connection_string.get_secret_value() == "mongodb://file"


def test_an_empty_section_counts_as_not_given(file: Path) -> None:
    file.write_text(FILE + "redis:\nweb:\n", encoding="utf-8")

    assert load_config(file, {}).web.port == 8080


@pytest.mark.parametrize(
    ("in_file", "environ", "port"),
    [
        ("", {}, 8080),
        ("", {"PORT": "5000"}, 5000),
        ("web: {port: 7000}\n", {"PORT": "5000"}, 7000),
        ("web: {port: 7000}\n", {"PORT": "5000", "CARTRIDGE_WARP_WEB__PORT": "6000"}, 6000),
    ],
)
def test_the_port_of_a_platform_is_the_default(file: Path, in_file: str, environ: dict[str, str], port: int) -> None:
    file.write_text(FILE + in_file, encoding="utf-8")

    assert load_config(file, environ).web.port == port


def test_the_file_is_named_by_argument_then_variable_then_custom(file: Path) -> None:
    by_variable = file.with_name("variable.yaml")
    by_variable.write_text(FILE.replace("shop", "variable"), encoding="utf-8")
    environ = {"CARTRIDGE_WARP_CONFIG": str(by_variable)}
    Path("cartridge-warp.yaml").write_text(FILE.replace("shop", "custom"), encoding="utf-8")

    assert load_config(file, environ).schemas[0].name == "shop"
    assert load_config(None, environ).schemas[0].name == "variable"
    assert load_config(None, {}).schemas[0].name == "custom"


@pytest.mark.usefixtures("file")
def test_without_a_file_the_environment_alone_will_do() -> None:
    single = {"CARTRIDGE_WARP_MODE": "single", "CARTRIDGE_WARP_SINGLE_SCHEMA_NAME": "shop"}
    several = {"CARTRIDGE_WARP_SCHEMAS": '[{"name": "a"}, {"name": "b"}]'}

    assert [schema.name for schema in load_config(None, {**SERVERS, **single}).schemas] == ["shop"]
    assert [schema.name for schema in load_config(None, {**SERVERS, **several}).schemas] == ["a", "b"]


def test_a_file_that_was_named_must_exist_whatever_the_environment_says(file: Path) -> None:
    missing = file.with_name("missing.yaml")

    for path, environ in ((missing, {}), (None, {"CARTRIDGE_WARP_CONFIG": str(missing)})):
        with pytest.raises(ConfigurationError, match=r"missing\.yaml does not exist") as failure:
            load_config(path, {**SERVERS, **environ})
        assert failure.value.remedy == f"write one with: cartridge-warp init {missing}"


@pytest.mark.usefixtures("file")
def test_no_file_and_no_servers_in_the_environment() -> None:
    with pytest.raises(ConfigurationError, match=r"cartridge-warp\.yaml does not exist") as failure:
        load_config(None, {})
    assert failure.value.remedy is not None
    assert "cartridge-warp init" in failure.value.remedy


def test_what_kubernetes_sets_for_a_service_of_this_name_is_no_configuration(file: Path) -> None:
    links = {
        "CARTRIDGE_WARP_SERVICE_HOST": "10.0.0.1",
        "CARTRIDGE_WARP_WEB_SERVICE_PORT_HTTP": "80",
        "CARTRIDGE_WARP_PORT": "tcp://10.0.0.1:80",
        "CARTRIDGE_WARP_WEB_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert load_config(file, links) == load_config(file, {})
