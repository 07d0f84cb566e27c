"""When a call counts as slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.resilience import Latencies
from mesh.resilience.hedging import FRESH, GROWTH, MAX_CALLS, MIN_CALLS, SHARE


def test_nothing_is_slow_before_enough_calls_were_seen() -> None:
    """A hedge then would be a guess."""
    latencies = Latencies()
    for _ in range(MIN_CALLS - 1):
        latencies.add(0.01)
    assert latencies.slow_s is None
    latencies.add(0.01)
    assert latencies.slow_s is not None


@given(st.lists(st.floats(0.0002, 10), min_size=MIN_CALLS, max_size=500))
def test_it_is_what_95_of_100_calls_take(seconds: list[float]) -> None:
    """Up to the width of a bucket."""
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)
    place = sorted(seconds)[max(0, -(-int(len(seconds) * SHARE * 1000) // 1000) - 1)]
    assert latencies.slow_s is not None
    assert place / GROWTH**2 <= latencies.slow_s <= max(seconds) * GROWTH**2


@pytest.mark.parametrize("first", [0.001, 1.0])
def test_what_was_long_ago_fades(first: float) -> None:
    """A method that has become slower, or faster, is told so."""
    latencies = Latencies()
    for _ in range(MAX_CALLS):
        latencies.add(first)
    for _ in range(10 * MAX_CALLS):
        latencies.add(0.05)
    assert latencies.slow_s == pytest.approx(0.05, rel=GROWTH - 1)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e9])
def test_every_time_has_a_place(seconds: float) -> None:
    """Also none at all, and more than there is."""
    latencies = Latencies()
    for _ in range(MIN_CALLS + FRESH):
        latencies.add(seconds)
    assert latencies.slow_s is not None
