"""What is said about a wrong configuration from the environment, and about many things at once; never a secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from warp.config import Config, load_config
from warp.errors import ConfigurationError, ExitCode

SECRET = "hunter2"
SERVERS = {
    "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": f"mongodb://u:{SECRET}@source",
    "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING": f"postgresql://u:{SECRET}@destination/db",
    "CARTRIDGE_WARP_REDIS__CONNECTION_STRING": f"redis://:{SECRET}@redis:6379/0",
}
SHOP = "schemas: [{name: shop}]\n"


def error_of(directory: Path, text: str, environ: dict[str, str]) -> ConfigurationError:
    path = directory / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as failure:
        load_config(path, environ)
    assert failure.value.exit_code == ExitCode.USAGE
    return failure.value


def problem_of(directory: Path, environ: dict[str, str]) -> str:
    (problem,) = error_of(directory, SHOP, {**SERVERS, **environ}).problems
    return problem


IN_ENVIRONMENT = {
    "unknown variable": (
        {"CARTRIDGE_WARP_SCHEMA": SECRET},
        "CARTRIDGE_WARP_SCHEMA: unknown variable; did you mean CARTRIDGE_WARP_SCHEMAS?",
    ),
    "one underscore for two": (
        {"CARTRIDGE_WARP_SOURCE_CONNECTION_STRING": SECRET},
        "CARTRIDGE_WARP_SOURCE_CONNECTION_STRING: unknown variable; did you mean "
        "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING?",
    ),
    "unknown key": (
        {"CARTRIDGE_WARP_SOURCE__CONECTION_STRING": SECRET},
        "CARTRIDGE_WARP_SOURCE__CONECTION_STRING: source.conection_string: unknown key; did you mean "
        "connection_string?",
    ),
    "wrong value": (
        {"CARTRIDGE_WARP_PARTITIONS": "0"},
        'CARTRIDGE_WARP_PARTITIONS: partitions: found "0"; allowed: a whole number from 1 to 64',
    ),
    "wrong value in JSON": (
        {"CARTRIDGE_WARP_SCHEMAS": '[{"name": "admin"}]'},
        'CARTRIDGE_WARP_SCHEMAS: schemas[0].name: found "admin"; allowed: a database of yours: MongoDB keeps admin, '
        "local, config for itself",
    ),
    "not JSON": (
        {"CARTRIDGE_WARP_SCHEMAS": f"[{SECRET}"},
        "CARTRIDGE_WARP_SCHEMAS: not valid JSON; allowed: its value as JSON",
    ),
    "an item of a list": (
        {"CARTRIDGE_WARP_SCHEMAS__0__NAME": "a"},
        "CARTRIDGE_WARP_SCHEMAS__0__NAME: schemas: found keys with values; allowed: a list",
    ),
    "a wrong port of the platform": (
        {"PORT": "http"},
        'PORT: web.port: found "http"; allowed: a whole number from 1 to 65535',
    ),
    "no scheme": (
        {"CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": SECRET},
        "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING: source.connection_string: found something else (not shown); "
        "allowed: a connection string that starts with mongodb:// or mongodb+srv://",
    ),
    "another scheme": (
        {"CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": f"mysql://u:{SECRET}@h/db"},
        'CARTRIDGE_WARP_SOURCE__CONNECTION_STRING: source.connection_string: found "mysql://***@h/db"; '
        "allowed: a connection string that starts with mongodb:// or mongodb+srv://",
    ),
    "another scheme for PostgreSQL": (
        {"CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING": f"mysql://u:{SECRET}@h/db"},
        "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING: destination.connection_string: found "
        '"mysql://***@h/db"; allowed: a connection string that starts with postgresql:// or postgres://, or '
        "key=value pairs as libpq takes them",
    ),
    "broken key=value pairs": (
        {"CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING": f"host=h password={SECRET} {SECRET}"},
        "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING: destination.connection_string: found something else "
        "(not shown); allowed: a connection string that starts with postgresql:// or postgres://, or key=value pairs "
        "as libpq takes them",
    ),
    "another scheme for Redis": (
        {"CARTRIDGE_WARP_REDIS__CONNECTION_STRING": f"http://:{SECRET}@h"},
        'CARTRIDGE_WARP_REDIS__CONNECTION_STRING: redis.connection_string: found "http://***@h"; allowed: a '
        "connection string that starts with redis:// or rediss:// or unix://",
    ),
}


@pytest.mark.parametrize(("environ", "expected"), IN_ENVIRONMENT.values(), ids=IN_ENVIRONMENT)
def test_a_problem_in_the_environment(tmp_path: Path, environ: dict[str, str], expected: str) -> None:
    assert problem_of(tmp_path, environ) == expected


@pytest.mark.parametrize(
    "password",
    [f"{SECRET}/x", f"x@{SECRET}", f"{SECRET} x", f"{SECRET}?x", f"{SECRET}#x", f"[{SECRET}", f"x:{SECRET}/"],
)
@pytest.mark.parametrize("scheme", ["postgresql", "mongodb", "redis"])
def test_a_password_that_is_not_percent_encoded(tmp_path: Path, scheme: str, password: str) -> None:
    section = {"postgresql": "destination", "mongodb": "source", "redis": "redis"}[scheme]
    variable = f"CARTRIDGE_WARP_{section.upper()}__CONNECTION_STRING"

    problem = problem_of(tmp_path, {variable: f"{scheme}://u:{password}@h/db"})

    assert "percent-encoded" in problem
    assert f'found "{scheme}://***@h/db"' in problem
    assert SECRET not in problem


def test_a_password_without_its_host(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": f"mongodb://u:{SECRET}"})

    assert 'found "mongodb://***"; allowed: numbers for ports' in problem


def test_servers_that_nobody_names(tmp_path: Path) -> None:
    error = error_of(tmp_path, SHOP, {})

    assert [problem.removeprefix(f"{tmp_path}/") for problem in error.problems] == [
        "c.yaml: source.connection_string: missing; it must be given, here or as "
        "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING",
        "c.yaml: destination.connection_string: missing; it must be given, here or as "
        "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING",
    ]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = """\
mode: single
partition: 3
source:
  conection_string: x
schemas:
  - name: a
    partitions: 98
    partitions: 99
  - name: a
    mode: batch
    tables:
      - name: t
        stream_batch_size: x
  - name: admin
"""
    error = error_of(tmp_path, text, {**SERVERS, "CARTRIDGE_WARP_WEB__PORT": "x", "CARTRIDGE_WARP_SCHEMA": "x"})

    places = [problem.removeprefix(f"{tmp_path}/").split("; ")[0] for problem in error.problems]
    assert sorted(places) == [
        "CARTRIDGE_WARP_SCHEMA: unknown variable",
        'CARTRIDGE_WARP_WEB__PORT: web.port: found "x"',
        "c.yaml: single_schema_name: nothing given",
        'c.yaml:13: schemas[1].tables[0].stream_batch_size: found "x"',
        'c.yaml:14: schemas[2].name: found "admin"',
        "c.yaml:2: partition: unknown key",
        "c.yaml:4: source.conection_string: unknown key",
        "c.yaml:7: schemas[0].partitions: found 99",
        "c.yaml:8: schemas[0].partitions: given a second time, after line 7",
        'c.yaml:9: schemas[1].name: found "a"',
        "c.yaml:9: schemas[1].schedule: nothing given",
    ]
    assert str(error).startswith("the configuration has 11 problems:\n  ")


@pytest.mark.parametrize("environ", [case[0] for case in IN_ENVIRONMENT.values()], ids=IN_ENVIRONMENT)
def test_no_error_about_the_environment_shows_a_secret(tmp_path: Path, environ: dict[str, str]) -> None:
    error = error_of(tmp_path, SHOP, {**SERVERS, **environ})

    assert SECRET not in f"{error!s} {error!r} {error.__cause__!r} {error.__context__!r}"


def test_a_configuration_never_shows_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SHOP, encoding="utf-8")
    config = load_config(path, SERVERS)

    assert SECRET not in f"{config} {config!r} {config.model_dump()} {config.model_dump_json()} {config.source!r}"


def test_a_validation_error_shows_no_input() -> None:
    with pytest.raises(ValidationError) as failure:
        Config.model_validate(
            {"source": {"connection_string": f"mysql://u:{SECRET}@h"}, "destination": SECRET, "schemas": [{}]}
        )

    assert SECRET not in f"{failure.value} {failure.value!r}"
