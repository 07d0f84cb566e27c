"""Clocks, and points in time as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.clock import ManualClock, SystemClock, from_micros, posix, to_micros

OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
MICROS = st.integers(
    to_micros(datetime.min.replace(tzinfo=UTC)), to_micros(datetime.max.replace(tzinfo=UTC))
)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_from_its_number(time: datetime) -> None:
    """No time between the years 1 and 9999 loses a microsecond."""
    assert from_micros(to_micros(time)) == time
    assert from_micros(to_micros(time)).tzinfo is UTC


@given(MICROS)
def test_a_number_comes_back_from_its_time(micros: int) -> None:
    """Each number stands for one time."""
    assert to_micros(from_micros(micros)) == micros


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS))  # noqa: DTZ001
def test_the_same_instant_is_the_same_number_everywhere(time: datetime) -> None:
    """The number is counted in UTC, whatever zone the time is written in."""
    assert to_micros(time) == to_micros(time.astimezone(UTC))


def test_numbers_count_microseconds_since_1970() -> None:
    """Zero is the start of 1970; earlier times are negative."""
    assert to_micros(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)) == 1_000_005
    assert from_micros(-1) == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_a_number_beyond_all_dates_is_refused() -> None:
    """Nothing wraps around."""
    with pytest.raises(OverflowError):
        from_micros(2**63 - 1)


async def test_a_manual_clock_moves_only_when_told() -> None:
    """Both of its times go on by what it is advanced or slept, and by nothing else."""
    start = datetime(2026, 6, 1, tzinfo=UTC)
    clock = ManualClock(start)
    clock.advance(1.5)
    await clock.sleep(2)
    assert clock.monotonic() == 3.5
    assert clock.now() == start + timedelta(seconds=3.5)


async def test_the_system_clock_tells_utc() -> None:
    """Its wall-clock time is aware, and its other time never steps back."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before


def test_a_clocks_time_as_a_number_is_the_one_it_shows() -> None:
    """Of a clock for tests as of the machine's."""
    clock = ManualClock()
    seconds = posix(clock)
    clock.advance(1.5)
    assert seconds() == clock.now().timestamp()
    system = SystemClock()
    before = system.now().timestamp()
    shown = posix(system)()
    assert before <= shown < system.now().timestamp() + 1e-6, "a date has whole microseconds"
