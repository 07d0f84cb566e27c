"""Events have their effect once, whatever is killed, frozen or cut off on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.rounds import ROUNDS

SEED = 20261126


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("embedded", 60_000),
        pytest.param("real", 100_000, marks=pytest.mark.real),
        pytest.param("links", 20_000, marks=pytest.mark.real),
    ],
)
def test_each_effect_happens_once(var: Path, name: str, events: int) -> None:
    """Acknowledged rows are there, and the events of all rows had their effect once."""
    assert ROUNDS[name](var, SEED, events) >= 1
