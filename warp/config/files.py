"""Reading a configuration file, YAML or JSON: its data as it stands, and the line of every key in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from warp.config.keys import Location
from warp.config.report import Origin, Problem
from warp.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: `data` by key, `lines` (from 1) by location, and keys that it gives twice."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def holds(self, loc: Location) -> bool:
        """Whether something is given at `loc`, which stands in no list."""
        section: Any = self.data
        for part in loc:
            if not isinstance(section, dict) or part not in section:
                return False
            section = section[part]
        return True

    def origin(self, loc: Location) -> Origin:
        """The file and, where one is known, the line of the nearest key that stands at or above `loc`."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return Origin(self.name, self.lines.get(loc))


def read_file(path: Path) -> Document:
    """The configuration in `path` (JSON if its name ends so, YAML otherwise); ConfigurationError if it has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = f"write one with: cartridge-warp init {path}"
        raise ConfigurationError(f"configuration file {path} does not exist", remedy=remedy) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"configuration file {path} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigurationError(f"configuration file {path} cannot be read: {error.strerror}") from None
    return _read_json(path, text) if path.suffix.lower() == ".json" else _read_yaml(path, text)


def _read_json(path: Path, text: str) -> Document:
    try:
        return Document(str(path), _mapping(path, json.loads(text)))
    except json.JSONDecodeError as error:
        raise _syntax_error(path, "JSON", error.lineno, error.colno, error.msg) from None
    except RecursionError:
        raise _syntax_error(path, "JSON", 1, 1, "too deep a nesting") from None


def _read_yaml(path: Path, text: str) -> Document:
    lines: dict[Location, int] = {}
    problems = []
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        for loc, line in _key_lines(node):
            if lines.setdefault(loc, line) != line:
                found = f"given a second time, after line {lines[loc]}"
                problems.append(Problem(Origin(str(path), line), loc, found, "allowed: each key once"))
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _syntax_error(path, "YAML", line, column, _without_quotes(error.problem or "unreadable")) from None
    except (ValueError, RecursionError):
        raise _syntax_error(path, "YAML", 1, 1, "a value that YAML cannot stand for, or too deep a nesting") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise _syntax_error(path, "YAML", line, column, "a character that YAML does not allow") from None
    return Document(str(path), _mapping(path, data), lines, tuple(problems))


def _key_lines(node: yaml.Node | None, loc: Location = ()) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            yield (*loc, key.value), key.start_mark.line + 1
            yield from _key_lines(value, (*loc, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*loc, index), value.start_mark.line + 1
            yield from _key_lines(value, (*loc, index))


def _mapping(path: Path, data: Any) -> dict[str, Any]:
    if data is None:
        return {}
    if isinstance(data, dict):
        return {str(key): value for key, value in data.items()}
    raise ConfigurationError(f"configuration file {path} holds no keys with values at its top level")


def _without_quotes(problem: str) -> str:
    # What a parser quotes comes from the file, where it may be part of a password.
    return re.sub(r"""(['"])(?!<[a-z ]+>\1).{2,}\1""", "…", problem)


def _syntax_error(path: Path, language: str, line: int, column: int, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{path}:{line}:{column}: not valid {language}: {reason}")
