"""Quiet hours over the day, over midnight, and together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.reach.quiet import QuietHours, opening
from mesh.zone import BANK_ZONE

NIGHT = QuietHours(21 * 60, 8 * 60)
NOON = QuietHours(12 * 60, 14 * 60)


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=BANK_ZONE)


@pytest.mark.parametrize(
    ("hours", "moment", "end"),
    [
        (NOON, at(11, 59, 59), None),
        (NOON, at(12), at(14)),
        (NOON, at(13, 59, 59), at(14)),
        (NOON, at(14), None),
        (NIGHT, at(20, 59, 59), None),
        (NIGHT, at(21), at(8, day=11)),
        (NIGHT, at(0), at(8)),
        (NIGHT, at(7, 59, 59), at(8)),
        (NIGHT, at(8), None),
        (QuietHours(0, 0), at(0), None),
        (QuietHours(600, 600), at(10), None),
    ],
)
def test_quiet_hours_hold_from_their_first_minute_to_before_their_last(
    hours: QuietHours, moment: datetime, end: datetime | None
) -> None:
    """They begin and end on the minute, also over midnight; equal minutes are none."""
    assert hours.end(moment) == end


def test_the_bank_s_zone_counts_whatever_zone_a_time_comes_in() -> None:
    """14:00 UTC is 22:00 at the bank: it is night there."""
    assert NIGHT.end(datetime(2026, 3, 10, 14, tzinfo=UTC)) == at(8, day=11)


def test_hours_that_touch_are_waited_for_together() -> None:
    """Who may not call in the night, nor before ten, may call at ten."""
    morning = QuietHours(8 * 60, 10 * 60)
    assert opening([morning, NIGHT], at(22)) == at(10, day=11)


def test_who_rests_all_day_is_never_open() -> None:
    """Two halves of a day leave nothing."""
    assert opening([QuietHours(0, 720), QuietHours(720, 0)], at(5)) is None


minutes = st.integers(0, 1439)
hours = st.builds(QuietHours, minutes, minutes)
moments = st.integers(0, 3 * 86_400).map(lambda s: at(0) + timedelta(seconds=s))


@given(st.lists(hours, max_size=4), moments)
def test_the_opening_is_the_first_minute_that_is_not_quiet(
    quiet: list[QuietHours], moment: datetime
) -> None:
    """Nothing holds at the opening; everything before it, minute by minute, is quiet."""
    opens = opening(quiet, moment)
    if opens is None:
        opens = moment + timedelta(days=1)
    else:
        assert all(one.end(opens) is None for one in quiet)
    minute = moment
    while minute < opens:
        assert any(one.end(minute) for one in quiet)
        minute += timedelta(minutes=1)
