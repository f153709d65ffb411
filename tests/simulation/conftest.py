"""Every test here runs simulations."""

from collections.abc import Iterator

import pytest

from tests.simulation.conditions import simulated


@pytest.fixture(autouse=True)
def _simulated() -> Iterator[None]:
    with simulated():
        yield
