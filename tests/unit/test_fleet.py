"""Which processes a fleet has, and with which options each is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from warp.children import module_environment
from warp.cli.options import streams
from warp.config import Config
from warp.errors import ConfigurationError
from warp.fleet import Fleet


def commands(fleet: Fleet) -> dict[str, str]:
    """What follows `cartridge-warp` for each process, by its name."""
    return {program.name: " ".join(program.command).split(" warp.cli ")[1] for program in fleet.programs()}


def test_a_fleet_has_a_tailer_for_each_schema_and_one_scheduler() -> None:
    fleet = Fleet(schemas=["shop", "crm"], workers=2, scheduler=True, web=True)
    assert commands(fleet) == {
        "tailer-shop": "tailer --schema shop",
        "tailer-crm": "tailer --schema crm",
        "worker-1": "worker",
        "worker-2": "worker",
        "scheduler": "scheduler",
        "web": "web",
    }


def test_options_are_handed_on() -> None:
    fleet = Fleet(
        schemas=["shop"], only="shop", workers=1, scheduler=True, config_path=Path("c.yaml"), log_level="DEBUG"
    )
    common = "--config c.yaml --log-level DEBUG"
    assert commands(fleet) == {
        "tailer-shop": f"tailer --schema shop {common}",
        "worker-1": f"worker --schema shop {common}",
        "scheduler": f"scheduler --schema shop {common}",
    }


def test_metrics_ports_are_consecutive() -> None:
    fleet = Fleet(schemas=["a", "b"], workers=1, scheduler=True, web=True, metrics_port=9100)
    ports = {name: command.split("--metrics-port ")[-1] for name, command in commands(fleet).items()}
    assert ports == {"tailer-a": "9100", "tailer-b": "9101", "worker-1": "9102", "scheduler": "9103", "web": "web"}


def test_metrics_port_0_is_any_free_one_for_every_process() -> None:
    fleet = Fleet(schemas=["a"], workers=1, metrics_port=0)
    assert all(command.endswith("--metrics-port 0") for command in commands(fleet).values())


def test_each_process_can_have_its_own_log(tmp_path: Path) -> None:
    fleet = Fleet(schemas=["a"], workers=1, log_directory=tmp_path)
    assert [program.log for program in fleet.programs()] == [tmp_path / "tailer-a.log", tmp_path / "worker-1.log"]


def test_the_command_runs_from_anywhere_and_is_this_very_code(tmp_path: Path) -> None:
    (tmp_path / "redis.py").write_text("raise SystemExit('a file in the working directory was imported')")
    [program] = Fleet(schemas=["a"]).programs()
    command = [*program.command[:4], "worker", "--help"]
    done = subprocess.run(
        command, cwd=tmp_path, env=dict(program.environment), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: cartridge-warp worker" in done.stdout
    where = [sys.executable, "-P", "-c", "import warp; print(warp.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=module_environment(), capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == Path(__file__).parents[2] / "warp" / "__init__.py"


def test_without_a_schema_in_stream_mode_there_is_nothing_to_serve() -> None:
    config = Config.model_validate(
        {
            "source": {"connection_string": "mongodb://localhost"},
            "destination": {"connection_string": "postgresql://localhost/warehouse"},
            "schemas": [{"name": "tenant", "mode": "batch", "schedule": "*/5 * * * *"}],
        }
    )
    with pytest.raises(ConfigurationError, match="batch mode is not served yet"):
        streams(config, None)
