"""Ticks are opened once each, in order, in the window; the time never steps back."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk import SequencerUnavailable
from sequencer.sdk._ticks import IdTime, Ticks
from sequencer.sdk._worker import Worker
from sequencer.sdk.layout import Layout

MS = 1_000_000


def worker(from_tick: int, until_tick: int, *, token: int = 1, now: int | None = None) -> Worker:
    return Worker(
        worker_id=3,
        token=token,
        from_tick=from_tick,
        until_tick=until_tick,
        now_tick=from_tick if now is None else now,
        layout=Layout(),
    )


def test_without_a_worker_there_is_no_tick() -> None:
    """Nothing may be opened before a worker is held."""
    assert Ticks().delay_s(0) == inf


def test_the_server_s_time_goes_on_by_the_client_s_clock() -> None:
    """A tick is the server's time as it was told, plus what has passed here since."""
    ticks = Ticks()
    ticks.hold(worker(1_000, 9_000), sent_ns=5 * MS, now_ns=8 * MS)

    block, end_ns = ticks.open(now_ns=25 * MS)

    assert Layout().decode(block[0]).tick == ticks.last_tick == 1_017
    assert end_ns == 26 * MS


def test_a_burst_runs_ahead_by_ten_milliseconds_then_waits() -> None:
    """Bounded, and the wait is long enough to sleep for."""
    ticks = Ticks()
    ticks.hold(worker(1_000, 9_000), sent_ns=0, now_ns=0)
    opened = 0
    while not ticks.delay_s(now_ns=0):
        ticks.open(now_ns=0)
        opened += 1

    assert ticks.last_tick == 1_010
    assert opened == 11
    assert ticks.delay_s(now_ns=0) == 0.006


def test_the_window_s_end_is_the_end() -> None:
    """The tick of its end belongs to the next holder."""
    ticks = Ticks()
    ticks.hold(worker(1_000, 1_002), sent_ns=0, now_ns=0)

    assert ticks.delay_s(now_ns=MS) == 0
    assert ticks.delay_s(now_ns=2 * MS) == inf
    ticks.open(0)
    ticks.open(0)
    assert ticks.delay_s(now_ns=0) == inf


def test_a_renewed_window_goes_on() -> None:
    """The same worker keeps its ticks, and its window never becomes shorter."""
    ticks = Ticks()
    ticks.hold(worker(1_000, 1_100), sent_ns=0, now_ns=0)
    ticks.open(now_ns=0)
    ticks.hold(worker(1_100, 1_200, now=1_050), sent_ns=50 * MS, now_ns=50 * MS)
    ticks.hold(worker(1_100, 1_150, now=1_050), sent_ns=50 * MS, now_ns=50 * MS)

    assert ticks.left_s(50 * MS) == 0.150


def test_a_renewed_window_may_be_used_before_its_beginning() -> None:
    """What is left of the old window is not lost by renewing early."""
    ticks = Ticks()
    ticks.hold(worker(1_000, 1_100), sent_ns=0, now_ns=0)
    ticks.hold(worker(1_100, 1_200, now=1_001), sent_ns=MS, now_ns=MS)

    ticks.open(now_ns=MS)

    assert ticks.last_tick == 1_001


def test_a_window_before_the_last_tick_is_refused() -> None:
    """A store that forgot what it leased cannot make this client repeat an id."""
    ticks = Ticks()
    ticks.hold(worker(1_000, 1_100), sent_ns=0, now_ns=0)
    ticks.open(now_ns=50 * MS)

    with pytest.raises(SequencerUnavailable):
        ticks.hold(worker(1_000, 1_100, token=2), sent_ns=0, now_ns=0)


@given(told=st.integers(0, 10**6), later_ms=st.integers(0, 10**6), trip_ms=st.integers(0, 10**4))
def test_the_time_never_steps_back(told: int, later_ms: int, trip_ms: int) -> None:
    """Whatever the server says, the next tick is neither below the present one nor the told."""
    time = IdTime(1_000, 0, MS)
    now_ns = later_ms * MS

    corrected = time.corrected(told, now_ns - trip_ms * MS, now_ns, MS)

    assert corrected.tick(now_ns) >= time.tick(now_ns)
    assert corrected.tick(now_ns) >= told


def test_what_the_round_trip_explains_is_left_alone() -> None:
    """The server's tick was told within the last 40 ms: being 30 ahead of it may be right."""
    time = IdTime(1_030, 0, MS)

    corrected = time.corrected(1_000, -40 * MS, 0, MS)

    assert corrected == time


@given(ahead=st.integers(1, 2_000))
def test_being_ahead_is_made_up_for(ahead: int) -> None:
    """In half a minute a lead of a few seconds is gone, and not turned into a lag."""
    time = IdTime(50_000 + ahead, 0, MS)
    server = IdTime(50_000, 0, MS)

    corrected = time.corrected(50_000, 0, 0, MS)

    after_ns = 30_000 * MS
    assert -1 <= corrected.tick(after_ns) - server.tick(after_ns) <= 1 + ahead // 10
