"""How many ids are asked for, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk._demand import (
    HALF_LIFE_S,
    LATENCIES,
    MAX_HELD,
    MIN_LEASE,
    SAFETY,
    SWITCHES_S,
    WINDOW_S,
    Latencies,
    RateMeter,
    Sizing,
)


def test_the_rate_follows_a_rise_at_once() -> None:
    """A burst is measured within one window."""
    meter = RateMeter(now=0.0)

    assert meter.observe(0, 1.0) == 0
    assert meter.observe(5_000, 2.0) == 5_000


def test_the_rate_falls_by_half_in_a_half_life() -> None:
    """An idle sequence asks for less and less."""
    meter = RateMeter(now=0.0)
    meter.observe(5_000, 1.0)

    assert meter.observe(5_000, 1.0 + HALF_LIFE_S) == pytest.approx(2_500)
    assert meter.rate(5_000, 1.0 + 10 * HALF_LIFE_S) < 5


def test_a_short_look_does_not_exaggerate() -> None:
    """A thousand ids in a microsecond are not a billion a second: the window is a lower bound."""
    meter = RateMeter(now=0.0)

    assert meter.observe(1_000, 1e-6) == pytest.approx(1_000 / WINDOW_S)


def test_looking_at_the_rate_changes_nothing() -> None:
    """Statistics may be read at any time without moving the measure."""
    meter = RateMeter(now=0.0)
    meter.rate(100, 1.0)
    meter.rate(200, 2.0)

    assert meter.observe(200, 4.0) == 50


def test_the_latency_is_the_longest_of_the_last_hundred() -> None:
    """An old outlier is forgotten after a hundred grants."""
    latencies = Latencies()
    assert latencies.p99_s == 0
    latencies.add(9.0)
    latencies.add(0.1)
    assert latencies.p99_s == 9.0
    for _ in range(LATENCIES - 1):
        latencies.add(0.2)
    assert latencies.p99_s == 0.2


def test_ids_are_held_for_the_time_to_survive() -> None:
    """At 1,000 ids a second and 60 s to survive, more are asked for below 60,000."""
    sizing = Sizing(survive_s=60)

    low = sizing.low(1_000, 0.001)

    assert low == 60_000
    assert sizing.lease(low, held=59_000, wanted=1) == 61_000


def test_a_slow_source_is_asked_in_time() -> None:
    """With nothing to survive the mark covers latency and two thread switches, with a margin."""
    low = Sizing(survive_s=0).low(1_000_000, 0.02)

    assert low == pytest.approx(1_000_000 * (0.02 + SWITCHES_S) * SAFETY, abs=1)


def test_users_who_wait_for_many_get_many() -> None:
    """A block larger than the usual level is leased in one go."""
    sizing = Sizing(survive_s=60)

    assert sizing.lease(500, held=100, wanted=1_000_000) == 999_900


@given(
    rate=st.floats(0, 1e12),
    latency_s=st.floats(0, 100),
    survive_s=st.floats(0, 1e6),
    held=st.integers(0, MAX_HELD // 2),
    wanted=st.integers(1, MAX_HELD),
)
def test_sizes_stay_within_bounds(
    rate: float, latency_s: float, survive_s: float, held: int, wanted: int
) -> None:
    """Whatever is measured: at least 1,000 ids a lease, at most 2**32 held."""
    sizing = Sizing(survive_s=survive_s)
    low = sizing.low(rate, latency_s)
    size = sizing.lease(low, held, wanted)

    assert MIN_LEASE // 2 <= low <= MAX_HELD // 2
    assert size >= MIN_LEASE
    assert held + size <= MAX_HELD
