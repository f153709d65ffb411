"""Who may import whom, held by the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from warp.transport import jobs

ROOT = Path(__file__).parents[2]
PACKAGES = ("warp", "scheduler", "workers")
_DEMO_AND_SERVERS = ("warp.demo", "warp.embedded")


def _module(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


IMPORTS = {_module(file): set(_imports(file)) for package in PACKAGES for file in (ROOT / package).rglob("*.py")}


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _importers(*packages: str) -> set[str]:
    """The modules that import something of these packages."""
    return {module for module, names in IMPORTS.items() if any(_within(name, *packages) for name in names)}


def _outside(modules: set[str], *packages: str) -> set[str]:
    return {module for module in modules if not _within(module, *packages)}


def test_there_is_something_to_look_at() -> None:
    assert {"warp.change", "scheduler.tailer", "workers.apply"} <= IMPORTS.keys()
    assert "warp.transport.base.Entry" in IMPORTS["scheduler.routing"]


def test_scheduler_and_workers_do_not_know_each_other() -> None:
    assert not {module for module in _importers("workers") if _within(module, "scheduler")}
    assert not {module for module in _importers("scheduler") if _within(module, "workers")}


def test_in_warp_only_the_command_line_knows_scheduler_and_workers() -> None:
    assert not _outside(_importers("scheduler", "workers"), "warp.cli", "scheduler", "workers")


def test_nothing_outside_of_the_mongodb_source_knows_bson() -> None:
    assert not _outside(_importers("bson", "pymongo"), "warp.sources.mongodb", *_DEMO_AND_SERVERS)


def test_nothing_outside_of_the_postgresql_destination_and_the_metadata_knows_sql() -> None:
    allowed = ("warp.destinations.postgresql", "warp.metadata", *_DEMO_AND_SERVERS)
    assert not _outside(_importers("psycopg"), *allowed)


@pytest.mark.parametrize("package", ["warp.sources.mongodb", "warp.destinations.postgresql"])
def test_a_source_or_destination_is_found_by_its_registry(package: str) -> None:
    assert not _outside(_importers(package), package, "warp.metadata", *_DEMO_AND_SERVERS)


def test_only_the_transport_and_its_processes_know_redis() -> None:
    allowed = ("warp.transport", "warp.connections", "scheduler.lease", "workers.worker", "workers.process", "warp.web")
    found = _outside(_importers("redis", "rq"), *allowed, *_DEMO_AND_SERVERS)
    assert not {module for module in found if _within(module, "scheduler", "workers", "warp.sources", "warp.evolution")}


def test_evolution_does_no_io() -> None:
    pure = {"__future__", "collections", "dataclasses", "enum", "functools", "hashlib", "itertools", "typing", "warp"}
    for module in [module for module in IMPORTS if _within(module, "warp.evolution")]:
        assert {name.split(".")[0] for name in IMPORTS[module]} <= pure, module
        ours = {name for name in IMPORTS[module] if name.startswith("warp.")}
        assert all(_within(name, "warp.evolution", "warp.change", "warp.values") for name in ours), module


@pytest.mark.parametrize("module", ["scheduler.pending", "scheduler.routing", "workers.sequence", "workers.write"])
def test_the_rules_of_the_protocol_do_no_io(module: str) -> None:
    pure = {"__future__", "collections", "dataclasses", "itertools", "typing", "warp", "scheduler"}
    assert {name.split(".")[0] for name in IMPORTS[module]} <= pure
    contracts = ("warp.change", "warp.errors", "warp.sources.base", "warp.destinations.base", "warp.transport.base")
    assert all(
        _within(name, *contracts, "scheduler.pending")
        for name in IMPORTS[module]
        if name.startswith(("warp.", "scheduler."))
    )


def test_contracts_know_no_implementation() -> None:
    for module in ("warp.sources.base", "warp.destinations.base", "warp.metadata.base", "warp.transport.base"):
        ours = {name for name in IMPORTS[module] if name.startswith("warp.")}
        assert not [name for name in ours if _within(name, "warp.sources.mongodb", "warp.destinations.postgresql")]
        third = {name.split(".")[0] for name in IMPORTS[module]} & {"bson", "pymongo", "psycopg", "redis", "rq"}
        assert not third


def test_nothing_in_the_product_rests_on_the_tests_or_on_the_in_memory_parts() -> None:
    assert not _importers("tests")
    assert not _outside(_importers("warp.testing"), "warp.testing")


@pytest.mark.parametrize("path", sorted(jobs.PATHS.values()))
def test_every_job_path_leads_to_a_function(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert callable(getattr(import_module(module), name))


def test_job_paths_are_a_wire_contract() -> None:
    assert jobs.PATHS == {
        "apply": "workers.jobs.apply_v1",
        "load": "workers.jobs.load_v1",
        "replay": "workers.jobs.replay_v1",
    }
