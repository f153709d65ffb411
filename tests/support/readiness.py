"""What `/readyz` and `/metrics` of a web process say."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.support.fleet import Process
from tests.support.wait import eventually


class Readiness:
    """Asks a web process that logs JSON, and listens on any free port."""

    def __init__(self, web: Process) -> None:
        def listening() -> int:
            assert web.running, web.output()
            events = [json.loads(line) for line in web.output().splitlines() if line.startswith("{")]
            return next((int(event["port"]) for event in events if event["event"] == "listening"), 0)

        self._base = f"http://127.0.0.1:{eventually(listening, what='web listening')}"

    def ready(self) -> bool:
        """Whether nothing is missing."""
        return bool(self._ask()["ready"])

    def missing(self) -> dict[str, dict[str, Any]]:
        """The checks that fail, by name; none also while nobody can say."""
        return {check["name"]: check for check in self._ask().get("checks", ()) if not check["ok"]}

    def red(self, name: str) -> dict[str, Any]:
        """Wait until a check fails; what it says."""
        found = eventually(lambda: {key: check for key, check in self.missing().items() if key == name}, what=name)
        return found[name]

    def gauge(self, sample: str) -> float:
        """A sample of `/metrics`, by its name and labels."""
        with urlopen(f"{self._base}/metrics", timeout=60) as reply:
            lines = reply.read().decode().splitlines()
        return next(float(line.removeprefix(sample)) for line in lines if line.startswith(f"{sample} "))

    def _ask(self) -> Any:
        try:
            with urlopen(f"{self._base}/readyz", timeout=60) as reply:
                return json.load(reply)
        except HTTPError as error:
            with error:
                return json.load(error)
