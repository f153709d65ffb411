"""What stands around the code speaks of commands, packages and targets that exist."""

import re
import shlex
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from warp.cli import main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "cartridge-warp"}
CONSTRAINTS = [line for line in (ROOT / "configs/constraints.txt").read_text().splitlines() if not line.startswith("#")]
TARGETS = (
    "demo test install-dev format lint type-check test-coverage example-init example-validate bench chaos simulate "
    "clean help"
)


def _assert_command_exists(words: list[str]) -> None:
    """That `cartridge-warp`, given `words`, finds the command, its options and its arguments; runs nothing."""
    name, *arguments = words
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    command.make_parser(click.Context(command)).parse_args(arguments)


def test_the_procfile_has_the_release_step_and_the_four_processes() -> None:
    assert list(PROCFILE) == ["release", "tailer", "worker", "scheduler", "web"]


@pytest.mark.parametrize("process", PROCFILE)
def test_every_process_of_the_procfile_is_a_command(process: str) -> None:
    program, *words = shlex.split(PROCFILE[process])
    assert program in PROJECT["scripts"]
    _assert_command_exists(words)


def test_compose_runs_what_the_procfile_runs() -> None:
    assert {name: ["cartridge-warp", *service["command"]] for name, service in OURS.items()} == {
        name: shlex.split(line) for name, line in PROCFILE.items()
    }


def test_compose_starts_processes_after_the_release_step_and_that_after_the_servers() -> None:
    servers = COMPOSE["services"].keys() - OURS.keys()
    assert servers == {"mongodb", "redis", "postgresql"}
    for name, service in OURS.items():
        healthy = {server: {"condition": "service_healthy"} for server in servers}
        released = {"release": {"condition": "service_completed_successfully"}}
        assert service["depends_on"] == (healthy if name == "release" else released)
    assert all("healthcheck" in COMPOSE["services"][server] for server in servers)


def test_the_image_runs_the_command_as_another_user_than_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["cartridge-warp"]' in lines
    assert lines.index("USER warp") < lines.index('ENTRYPOINT ["cartridge-warp"]')


def test_constraints_are_names_and_versions_only() -> None:
    assert [line for line in CONSTRAINTS if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_constraints_hold_a_version_in_range_of_everything_required() -> None:
    versions = {canonicalize_name(name): version for name, version in (line.split("==") for line in CONSTRAINTS)}
    extras = PROJECT["optional-dependencies"]
    required = [Requirement(line) for line in [*PROJECT["dependencies"], *chain.from_iterable(extras.values())]]
    for requirement in required:
        if requirement.name != PROJECT["name"]:
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_development_extra_includes_the_others() -> None:
    extras = PROJECT["optional-dependencies"]
    own = next(Requirement(line) for line in extras["dev"] if line.startswith(PROJECT["name"]))
    assert own.extras == extras.keys() - {"dev"}


def test_the_makefile_has_the_targets_that_are_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(targets) == set(TARGETS.split())
