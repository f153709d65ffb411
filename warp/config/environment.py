"""The environment as a layer over the configuration file: `CARTRIDGE_WARP_` variables, `__` between levels.

Names and values are read by pydantic-settings, one variable at a time, so that each wrong one is reported by name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from warp.config.keys import LEVELS, PREFIX, Location, advice, variables
from warp.config.models import Config
from warp.config.report import Origin, Problem

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
PORT_VARIABLE = "PORT"

# Kubernetes sets these in every pod beside a service that is named cartridge-warp or cartridge-warp-…
# (its documentation on "Service", section "Environment variables").
_SERVICE_LINK = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")


class _Settings(Config, BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=LEVELS, env_ignore_empty=True)


class _Variable(EnvSettingsSource):
    def __init__(self, name: str, value: str) -> None:
        self._variable = {name.lower(): value}
        super().__init__(_Settings)

    def _load_env_vars(self) -> Mapping[str, str]:
        return self._variable


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the environment says: `data` by key, `variables` by the location each of them sets."""

    data: dict[str, Any] = field(default_factory=dict)
    variables: dict[Location, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, loc: Location) -> Origin | None:
        """The variable that set what stands at `loc`, above it or within it, if one did."""
        for set_at, name in self.variables.items():
            common = min(len(set_at), len(loc))
            if set_at[:common] == loc[:common]:
                return Origin(name)
        return None


def read_environment(environ: Mapping[str, str]) -> Overlay:
    """Every configuration variable in `environ`. Empty ones count as not set; a deeper one adds to a JSON value."""
    overlay = Overlay()
    names = [name for name, value in environ.items() if value and _is_ours(name)]
    for name in sorted(names, key=lambda name: name.count(LEVELS)):
        try:
            data = _Variable(name, environ[name])()
        except SettingsError:
            overlay.problems.append(Problem(Origin(name), (), "not valid JSON", "allowed: its value as JSON"))
            continue
        if not data:
            overlay.problems.append(Problem(Origin(name), (), "unknown variable", advice(name, variables(Config))))
        overlay.variables.update((loc, name) for loc in _leaves(data))
        merge(overlay.data, data)
    return overlay


def read_port(environ: Mapping[str, str]) -> Overlay:
    """What a platform that assigns ports says in `$PORT`; it stands below the file."""
    if not environ.get(PORT_VARIABLE):
        return Overlay()
    return Overlay({"web": {"port": environ[PORT_VARIABLE]}}, {("web", "port"): PORT_VARIABLE})


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Lay `above` over `below`, in place: sections key by key, all else whole. An empty section changes nothing."""
    for key, value in above.items():
        under = below.get(key)
        if isinstance(under, dict) and isinstance(value, Mapping):
            merge(under, value)
        elif not (isinstance(under, dict) and value is None):
            below[key] = value


def _is_ours(name: str) -> bool:
    if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
        return False
    return LEVELS in name or not _SERVICE_LINK.fullmatch(name)


def _leaves(data: Mapping[str, Any], loc: Location = ()) -> Iterator[Location]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*loc, key))
        else:
            yield (*loc, key)
