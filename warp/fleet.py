"""The processes of a fleet as programs that a supervisor keeps running: each of them is this very command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from warp.children import module_command, module_environment
from warp.supervisor import Program

_DASHBOARD = ("rq_dashboard", "waitress")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is to run, and how; `programs` says it in processes."""

    schemas: Sequence[str]
    config_path: Path | None = None
    only: str | None = None
    """The one schema that workers and scheduler are limited to."""
    workers: int = 0
    scheduler: bool = False
    web: bool = False
    metrics_port: int | None = None
    """Tailers, workers and scheduler get ports from this one on, in that order; 0: any free ones."""
    log_level: str | None = None
    log_format: str | None = None
    log_directory: Path | None = None
    """Where each process has its log; None: it writes to our stderr."""

    def programs(self) -> list[Program]:
        """One program for each process."""
        ports = self._ports()
        only = ["--schema", self.only] if self.only else []
        programs = [
            self._program(f"tailer-{schema}", ["tailer", "--schema", schema, *next(ports)]) for schema in self.schemas
        ]
        programs += [
            self._program(f"worker-{number}", ["worker", *only, *next(ports)]) for number in range(1, self.workers + 1)
        ]
        if self.scheduler:
            programs.append(self._program("scheduler", ["scheduler", *only, *next(ports)]))
        if self.web:
            programs.append(self._program("web", ["web"]))
        return programs

    def _ports(self) -> Iterator[list[str]]:
        for number in count():
            if self.metrics_port is None:
                yield []
            else:
                yield ["--metrics-port", str(self.metrics_port + number if self.metrics_port else 0)]

    def _program(self, name: str, arguments: list[str]) -> Program:
        config = ["--config", str(self.config_path)] if self.config_path else []
        level = ["--log-level", self.log_level] if self.log_level else []
        environment = module_environment()
        if self.log_format:
            environment["CARTRIDGE_WARP_MONITORING__LOG_FORMAT"] = self.log_format
        return Program(
            name=name,
            command=module_command("warp.cli", *arguments, *config, *level),
            environment=environment,
            log=self.log_directory / f"{name}.log" if self.log_directory else None,
        )


def dashboard_installed() -> bool:
    """Whether `cartridge-warp web` has what it needs: the extra `dashboard`."""
    return all(find_spec(module) for module in _DASHBOARD)
