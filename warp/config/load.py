"""From a file and the environment to a `Config`, or to one error that names everything that is wrong with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warp.config.environment import CONFIG_VARIABLE, Overlay, merge, read_environment, read_port
from warp.config.files import Document, read_file
from warp.config.keys import Location
from warp.config.models import Config
from warp.config.report import Origin, problem_of
from warp.errors import ConfigurationError

DEFAULT_PATH = Path("cartridge-warp.yaml")

_SECTIONS = ("source", "destination", "redis", "monitoring", "web")


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration in `path`, or else where `CARTRIDGE_WARP_CONFIG` says, or else in `cartridge-warp.yaml`.

    `CARTRIDGE_WARP_` variables override it. Where nobody names a file and there is none, they alone will do, if they
    say where the source is. Raises ConfigurationError.
    """
    overlay = read_environment(environ)
    document = _find_document(path, environ, overlay)
    defaults = read_port(environ)
    data: dict[str, Any] = {section: {} for section in _SECTIONS}
    for layer in (defaults, document, overlay):
        merge(data, layer.data)
    problems = [*document.problems, *overlay.problems]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problems.append(problem_of(details, Config, _origin(details["loc"], overlay, document, defaults)))
    if problems:
        problems.sort(key=lambda problem: problem.origin.line or 0)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigurationError(f"the configuration has {count}:", problems=[str(problem) for problem in problems])
    return config


def _find_document(path: Path | None, environ: Mapping[str, str], overlay: Overlay) -> Document:
    named = path or environ.get(CONFIG_VARIABLE)
    if named:
        return read_file(Path(named))
    if not DEFAULT_PATH.exists() and ("source", "connection_string") in overlay.variables:
        return Document("environment")
    return read_file(DEFAULT_PATH)


def _origin(loc: Location, overlay: Overlay, document: Document, defaults: Overlay) -> Origin:
    from_variable = overlay.origin(loc) or (None if document.holds(loc) else defaults.origin(loc))
    return from_variable or document.origin(loc)
