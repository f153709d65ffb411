"""How many examples property tests draw, and which: by hypothesis's profiles, `repeatable` and `explore`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_USUAL = 100


def register_profiles() -> None:
    """Load `repeatable`, which draws the same examples always; `--hypothesis-profile=explore` comes after."""
    settings.register_profile("repeatable", max_examples=_USUAL, derandomize=True, deadline=None)
    settings.register_profile("explore", max_examples=10 * _USUAL, derandomize=False, deadline=None, print_blob=True)
    settings.load_profile("repeatable")


def with_servers(examples: int) -> settings:
    """Settings of a test whose examples are slow: so many, or by `explore` ten times as many."""
    return settings(
        max_examples=examples * settings().max_examples // _USUAL,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
