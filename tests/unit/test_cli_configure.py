"""`init` writes what `validate` accepts; `validate` says what a configuration means, or all that is wrong with it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from warp.cli import main
from warp.errors import ExitCode

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "SOURCE__CONNECTION_STRING", "DESTINATION__CONNECTION_STRING", "REDIS__CONNECTION_STRING"):
        monkeypatch.delenv(f"CARTRIDGE_WARP_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="cartridge-warp", env=environ)


@pytest.mark.parametrize("path", ["cartridge-warp.yaml", "shop.yml"])
def test_what_init_writes_is_valid(path: str) -> None:
    written = run("init", path)
    checked = run("validate", "--config", path)

    assert (written.exit_code, checked.exit_code) == (0, 0), written.output + checked.output
    assert f"Wrote {path}" in written.stdout
    assert "schema shop follows the change stream" in checked.stdout


def test_init_writes_where_validate_looks() -> None:
    assert run("init").exit_code == 0
    assert run("validate").exit_code == 0


def test_init_to_stdout() -> None:
    run("init")

    assert run("init", "-").stdout == Path("cartridge-warp.yaml").read_text(encoding="utf-8")


def test_init_overwrites_nothing_unless_forced() -> None:
    path = Path("cartridge-warp.yaml")
    path.write_text("precious", encoding="utf-8")

    refused = run("init")

    assert refused.exit_code == ExitCode.USAGE
    assert refused.stderr == (
        "error: cartridge-warp.yaml exists already\n"
        "  remedy: overwrite it with: cartridge-warp init cartridge-warp.yaml --force\n"
    )
    assert path.read_text(encoding="utf-8") == "precious"
    assert run("init", "--force").exit_code == 0
    assert path.read_text(encoding="utf-8") != "precious"


@pytest.mark.parametrize(
    ("path", "reason"), [("no/such/directory.yaml", "cannot be written: No such file"), ("c.json", "init writes YAML")]
)
def test_init_says_why_it_cannot_write(path: str, reason: str) -> None:
    refused = run("init", path)

    assert refused.exit_code == ExitCode.USAGE
    assert reason in refused.stderr


def write_configuration() -> None:
    Path("cartridge-warp.yaml").write_text(
        f"""\
source: {{connection_string: "mongodb://u:{SECRET}@source:27017"}}
destination: {{connection_string: "host=destination dbname=db user=u password={SECRET}"}}
redis: {{connection_string: "redis://:{SECRET}@redis/0"}}
partitions: 4
schemas:
  - name: a
    tables: [{{name: orders, deletion_strategy: soft, stream_batch_size: 500, max_columns: 12}}]
  - {{name: b, mode: batch, schedule: "0 4 * * *", partitions: 1}}
""",
        encoding="utf-8",
    )


def test_validate_says_what_the_configuration_means() -> None:
    write_configuration()

    assert run("validate").output == (
        """\
The configuration is valid.

source       mongodb://***@source:27017
destination  host=destination dbname=db user=*** password=***
redis        redis://***@redis/0

schema a follows the change stream
  orders             500 changes a step, soft deletes, 4 partitions, at most 12 columns
  every other table  5000 changes a step, hard deletes, 4 partitions

schema b is read at "0 4 * * *"
  every table  5000 changes a step, hard deletes, 1 partition
"""
    )


def test_validate_for_machines() -> None:
    write_configuration()

    result = run("validate", "--json")

    assert SECRET not in result.output
    assert json.loads(result.stdout) == {
        "valid": True,
        "mode": "multi",
        "source": "mongodb://***@source:27017",
        "destination": "host=destination dbname=db user=*** password=***",
        "redis": "redis://***@redis/0",
        "log_high_water_mark": 256 * 2**20,
        "schemas": [
            {
                "name": "a",
                "mode": "stream",
                "schedule": None,
                "batch_size": 5000,
                "deletion_strategy": "hard",
                "on_drop": "keep",
                "partitions": 4,
                "max_columns": 500,
                "tables": [
                    {
                        "name": "orders",
                        "batch_size": 500,
                        "deletion_strategy": "soft",
                        "on_drop": "keep",
                        "partitions": 4,
                        "max_columns": 12,
                    }
                ],
            },
            {
                "name": "b",
                "mode": "batch",
                "schedule": "0 4 * * *",
                "batch_size": 5000,
                "deletion_strategy": "hard",
                "on_drop": "keep",
                "partitions": 1,
                "max_columns": 500,
                "tables": [],
            },
        ],
    }


def test_validate_counts_the_environment() -> None:
    write_configuration()
    environ = {"CARTRIDGE_WARP_REDIS__CONNECTION_STRING": "redis://elsewhere/1"}

    assert "redis        redis://elsewhere/1\n" in run("validate", environ=environ).stdout


def test_validate_ends_with_every_error() -> None:
    write_configuration()
    environ = {
        "CARTRIDGE_WARP_PARTITIONS": "0",
        "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": f"mysql://u:{SECRET}@h",
    }
    problems = [
        'CARTRIDGE_WARP_SOURCE__CONNECTION_STRING: source.connection_string: found "mysql://***@h"; allowed: a '
        "connection string that starts with mongodb:// or mongodb+srv://",
        'CARTRIDGE_WARP_PARTITIONS: partitions: found "0"; allowed: a whole number from 1 to 64',
    ]

    for_people = run("validate", environ=environ)
    for_machines = run("validate", "--json", environ=environ)

    assert for_people.exit_code == for_machines.exit_code == ExitCode.USAGE
    lines = ["error: the configuration has 2 problems:", *(f"  {problem}" for problem in problems)]
    assert for_people.stderr.splitlines() == lines
    assert for_people.stdout == ""
    assert json.loads(for_machines.stdout) == {
        "valid": False,
        "error": "the configuration has 2 problems:",
        "problems": problems,
    }
