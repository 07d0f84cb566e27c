"""What goes wrong with CosId's serials, and must not with ours.

CosId 3.2 puts a daily reset and the date into a number in two steps: in the last
second of a day it throws, and with a step of 1 it repeats a serial across
midnight, because number and date may be of different days.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequencer.sdk import Lease, LeaseRequest, LocalRangeSource, Sequencer
from sequencer.sdk._serial import SerialSequence
from sequencer.sdk.serial import Reset, SerialFormat

ZONE = ZoneInfo("Asia/Shanghai")
TEMPLATE = "LN{date:%Y%m%d}{number:06}{check:luhn}"
MIDNIGHT = datetime(2026, 11, 27, tzinfo=ZONE)


class StepOne(LocalRangeSource):
    """Grants one id at a time, and has other threads run meanwhile, as a call to a server has."""

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        time.sleep(0)
        one = LeaseRequest(
            name=request.name, client_id=request.client_id, size=1, last=request.last
        )
        return super().lease(one, timeout_s=timeout_s)


class Clock:
    """Says what it is told, and counts how often it is asked."""

    def __init__(self) -> None:
        self.moment = MIDNIGHT
        self.step = timedelta()
        self.asked = 0

    def __call__(self) -> datetime:
        self.asked += 1
        moment = self.moment
        self.moment += self.step
        return moment.astimezone(UTC)


@contextmanager
def client(source: LocalRangeSource, clock: Clock) -> Iterator[SerialSequence]:
    """Daily serials of one client."""
    made = SerialFormat.parse(TEMPLATE, zone=ZONE.key, reset=Reset.DAY, now=clock)
    with Sequencer(source, timeout_s=30, create_missing=True) as sequencer:
        yield sequencer.serial("loan.contract", made)


@pytest.mark.parametrize("before", [1_000_000, 999_999, 500_000, 1_000, 1, 0])
def test_the_last_second_of_a_day_gives_serials_as_any_other(before: int) -> None:
    """Failure 2a: whichever microsecond before midnight it is."""
    clock = Clock()
    with client(LocalRangeSource(), clock) as serials:
        clock.moment = MIDNIGHT - timedelta(microseconds=before)

        found = serials.read(serials.next())

    assert found.date == (date(2026, 11, 26) if before else date(2026, 11, 27))
    assert found.number == 1


def test_the_date_of_a_serial_is_decided_once() -> None:
    """Failure 2b: number and text cannot be of two days when the clock is asked once."""
    clock = Clock()
    clock.step = timedelta(seconds=1)
    with client(LocalRangeSource(), clock) as serials:
        clock.moment = MIDNIGHT - timedelta(seconds=2)
        found = [serials.read(serials.next()) for _ in range(4)]

    assert clock.asked == 4
    assert [(serial.date, serial.number) for serial in found] == [
        (date(2026, 11, 26), 1),
        (date(2026, 11, 26), 2),
        (date(2026, 11, 27), 1),
        (date(2026, 11, 27), 2),
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=1, max_size=24))
def test_step_1_repeats_no_serial_across_midnight(steps: list[tuple[bool, int]]) -> None:
    """Failure 2c: two clients with a step of 1, and clocks that go to and fro over midnight."""
    source, clock = StepOne(), Clock()
    with client(source, clock) as one, client(source, clock) as other:
        texts = []
        for is_other, offset in steps:
            clock.moment = MIDNIGHT + timedelta(seconds=offset)
            texts.append((other if is_other else one).next())
            expected = date(2026, 11, 27) if offset >= 0 else date(2026, 11, 26)
            assert one.read(texts[-1]).date == expected

    assert len({*texts}) == len(texts)


@given(st.lists(st.booleans(), min_size=1, max_size=24))
def test_two_business_days_in_parallel_repeat_no_serial(days: list[bool]) -> None:
    """The caller's date counts, whatever the clock says: yesterday's books are still open."""
    source, clock = StepOne(), Clock()
    with client(source, clock) as serials:
        texts = [serials.next(date(2026, 11, 26 + is_next)) for is_next in days]

    assert len({*texts}) == len(texts)
    assert clock.asked == 0
