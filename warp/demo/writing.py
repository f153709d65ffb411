"""The writer's process, as the demonstration starts and ends it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from warp.children import module_command, module_environment, start_child
from warp.errors import WarpError

STOP_SECONDS = 15.0


class WriterProcess:
    """Runs `warp.demo.writer` within a `with` block, its output in `log`."""

    def __init__(self, uri: str, database: str, order: Mapping[str, Any], log: Path) -> None:
        """`order` as `warp.demo.writer.write` takes it."""
        self._command = module_command("warp.demo.writer", uri, database, json.dumps(order))
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """Raises WarpError where the writer has ended before its time."""
        if self._process is not None and (status := self._process.poll()) is not None:
            raise WarpError(f"the demonstration's writer ended with exit code {status}")

    def stop(self) -> dict[str, int]:
        """End it in order; what it did, by kind of change. Raises WarpError where it failed."""
        self.check()
        assert self._process is not None
        process, self._process = self._process, None
        process.terminate()
        if process.wait(STOP_SECONDS) != 0:
            raise WarpError(f"the demonstration's writer ended with exit code {process.returncode}")
        done: dict[str, int] = json.loads(self._log.read_text().splitlines()[-1])
        return done

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = start_child(
                self._command, output=output, environment={**os.environ, **module_environment()}
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
