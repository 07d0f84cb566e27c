"""Serials of a sequence: a child of it for each period, two of them open."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from sequencer.sdk import (
    Lease,
    LeaseRequest,
    LocalRangeSource,
    Sequence,
    SequenceEmpty,
    SequenceNotFound,
    Sequencer,
    SequencerError,
    Tail,
)
from sequencer.sdk._serial import MAX_DATES, OPEN_PERIODS, TRIES, SerialSequence
from sequencer.sdk.serial import Reset, SerialFormat, SerialOverflow

NAME = "loan.contract"
DAILY = SerialFormat.parse("LN{date:%Y%m%d}{number:08}{check:luhn}", reset=Reset.DAY)
DAYS = [date(2026, 11, 26) + timedelta(days=offset) for offset in range(6)]


class Source(LocalRangeSource):
    """Notes which sequences are leased from and given back to; giving back may be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.leased: list[str] = []
        self.given_back: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        self.leased.append(request.name)
        return super().lease(request, timeout_s=timeout_s)

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:
        assert self.gate.wait(60)
        self.given_back.append(tail.name)
        super().give_back(tail, timeout_s=timeout_s)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def sequencer(source: Source) -> Sequencer:
    return Sequencer(source, timeout_s=30, create_missing=True)


def numbers(serials: SerialSequence, texts: list[str]) -> list[int]:
    """The numbers of serials."""
    return [serials.read(text).number for text in texts]


def test_two_days_count_by_themselves(sequencer: Sequencer, source: Source) -> None:
    """Each has a child sequence; neither returns its ids while both are used."""
    with sequencer:
        serials = sequencer.serial(NAME, DAILY)

        texts = [serials.next(day) for _ in range(3) for day in DAYS[:2]]

        assert texts[0] == "LN20261126000000011"
        assert numbers(serials, texts) == [1, 1, 2, 2, 3, 3]
        assert {*source.leased} == {f"{NAME}@20261126", f"{NAME}@20261127"}
        assert source.given_back == []


@pytest.mark.parametrize(
    ("reset", "child"),
    [
        (Reset.DAY, f"{NAME}@20261126"),
        (Reset.MONTH, f"{NAME}@202611"),
        (Reset.YEAR, f"{NAME}@2026"),
        (Reset.NONE, NAME),
    ],
)
def test_the_reset_names_the_child(
    sequencer: Sequencer, source: Source, reset: Reset, child: str
) -> None:
    """Numbers that never begin anew are those of the sequence itself."""
    made = SerialFormat.parse("{date:%Y%m%d}{number:06}", reset=reset)
    with sequencer:
        assert sequencer.serial(NAME, made).next(DAYS[0]) == "20261126000001"
        assert {*source.leased} == {child}


def test_a_third_day_closes_the_one_unused_for_longest(
    sequencer: Sequencer, source: Source
) -> None:
    """Its tail goes back, and when it is used again it goes on without a repeat."""
    with sequencer:
        serials = sequencer.serial(NAME, DAILY)
        texts = [serials.next(day) for day in (DAYS[0], DAYS[1], DAYS[0], DAYS[2])]

        assert source.given_back == [f"{NAME}@20261127"]
        assert len(serials._open) == OPEN_PERIODS

        texts += [serials.next(day) for day in (DAYS[1], DAYS[1])]
        assert len({*texts}) == len(texts)
        assert numbers(serials, texts) == [1, 1, 2, 1, 2, 3]


def test_many_are_of_one_day(sequencer: Sequencer) -> None:
    """All of them or none, and no serial twice."""
    with sequencer:
        serials = sequencer.serial(NAME, DAILY)

        texts = serials.take(1_000, DAYS[0])

        assert numbers(serials, texts) == [*range(1, 1_001)]
        assert {serials.read(text).date for text in texts} == {DAYS[0]}


async def test_an_event_loop_waits_for_serials(sequencer: Sequencer) -> None:
    """One and many; the call that cannot wait says so."""
    async with sequencer:
        serials = sequencer.serial(NAME, DAILY)
        with pytest.raises(SequenceEmpty):
            sequencer.serial("other.serial", yearly()).next(DAYS[0])

        assert await serials.next_async(DAYS[0]) == "LN20261126000000011"
        assert numbers(serials, await serials.take_async(3, DAYS[0])) == [2, 3, 4]
        assert serials.next(DAYS[0]) == DAILY.format(5, DAYS[0])


def yearly() -> SerialFormat:
    """A format of its own."""
    return SerialFormat.parse("{date:%Y}{number:04}", reset=Reset.YEAR)


async def test_a_day_is_closed_beside_the_event_loop(sequencer: Sequencer, source: Source) -> None:
    """The sequencer may take its time with the tail; the next day's serials do not wait."""
    async with sequencer:
        serials = sequencer.serial(NAME, DAILY)
        source.gate.clear()
        try:
            texts = [await serials.next_async(day) for day in DAYS[:3]]
            assert source.given_back == []
        finally:
            source.gate.set()

        assert numbers(serials, texts) == [1, 1, 1]


def test_threads_on_more_days_than_are_open_get_no_serial_twice(sequencer: Sequencer) -> None:
    """Days close and open under their users, who notice nothing but the delay."""

    def work(turn: int) -> list[str]:
        return [serials.next(DAYS[(turn + step // 8) % 4]) for step in range(200)]

    with sequencer, ThreadPoolExecutor(4) as pool:
        serials = sequencer.serial(NAME, DAILY)
        texts = [text for found in pool.map(work, range(4)) for text in found]

    assert len({*texts}) == len(texts) == 800


async def test_tasks_on_more_days_than_are_open_get_no_serial_twice(sequencer: Sequencer) -> None:
    """The same on an event loop."""

    async def work(turn: int) -> list[str]:
        return [await serials.next_async(DAYS[(turn + step // 8) % 4]) for step in range(100)]

    async with sequencer:
        serials = sequencer.serial(NAME, DAILY)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(turn)) for turn in range(4)]

    texts = [text for task in tasks for text in task.result()]
    assert len({*texts}) == len(texts) == 400


def test_a_number_that_does_not_fit_is_refused(sequencer: Sequencer) -> None:
    """The template has room for two digits."""
    made = SerialFormat.parse("{number:02}{check:luhn}")
    with sequencer:
        serials = sequencer.serial(NAME, made)

        assert len(serials.take(99)) == 99
        with pytest.raises(SerialOverflow, match="100 does not fit"):
            serials.next()


def test_what_the_sequencer_refuses_is_told(source: Source) -> None:
    """No retry, no other error: there is no such sequence, or the client is closed."""
    with Sequencer(source, timeout_s=30) as sequencer:
        serials = sequencer.serial(NAME, DAILY)
        with pytest.raises(SequenceNotFound):
            serials.next(DAYS[0])

    with pytest.raises(SequencerError, match="closed"):
        serials.next(DAYS[1])


def test_a_format_that_must_be_fetched_is_fetched_once(sequencer: Sequencer) -> None:
    """On a thread it is asked for when the first serial is wanted, or read."""
    asked = []

    def learn() -> SerialFormat:
        asked.append(1)
        return DAILY

    with sequencer:
        serials = SerialSequence(NAME, sequencer, learn)
        assert asked == []
        assert serials.read(serials.next(DAYS[0])).number == 1
        assert serials.next(DAYS[0]) == DAILY.format(2, DAYS[0])

    assert asked == [1]


async def test_a_format_is_fetched_beside_the_event_loop(sequencer: Sequencer) -> None:
    """By a call that may wait; one that may not is refused until then."""
    async with sequencer:
        loop_thread = threading.get_ident()
        fetched_on = []

        def learn() -> SerialFormat:
            fetched_on.append(threading.get_ident())
            return DAILY

        serials = SerialSequence(NAME, sequencer, learn)
        with pytest.raises(SequenceEmpty, match="not known yet"):
            serials.next(DAYS[0])

        assert await serials.next_async(DAYS[0]) == DAILY.format(1, DAYS[0])
        assert fetched_on != [loop_thread]


def test_a_source_without_formats_needs_one(sequencer: Sequencer) -> None:
    """Said when serials are asked for, not when the first one is wanted."""
    with sequencer, pytest.raises(SequencerError, match="not the sequencer service"):
        sequencer.serial(NAME)


def test_a_forked_child_repeats_no_serial(sequencer: Sequencer) -> None:
    """It holds nothing of its parent's days; a local source refuses it altogether."""
    with sequencer:
        serials = sequencer.serial(NAME, DAILY)
        serials.next(DAYS[0])
        pid = os.fork()
        if not pid:
            try:
                serials.next(DAYS[0])
            except SequencerError:
                os._exit(7)
            os._exit(1)
        _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 7


def test_many_dates_take_bounded_memory(sequencer: Sequencer) -> None:
    """Dates come and go, and few are remembered."""
    made = SerialFormat.parse("{date:%Y%m%d}{number:06}", reset=Reset.YEAR)
    with sequencer:
        serials = sequencer.serial(NAME, made)
        for offset in range(3 * MAX_DATES):
            day = date(2026, 1, 1) + timedelta(days=offset)
            assert serials.read(serials.next(day)).date == day
            assert len(serials._dates) <= MAX_DATES


class Restless:
    """Lets a sequence go as soon as it was asked for."""

    def __init__(self, sequencer: Sequencer) -> None:
        self.asked = 0
        self._sequencer = sequencer

    def sequence(self, name: str) -> Sequence:
        self.asked += 1
        found = self._sequencer.sequence(name)
        self._sequencer.release(name)
        return found

    def release(self, name: str) -> None:
        self._sequencer.release(name)


def test_a_period_that_is_always_closed_is_given_up(sequencer: Sequencer) -> None:
    """After a bounded number of tries, with an error that says to try again."""
    with sequencer:
        numbers = Restless(sequencer)
        with pytest.raises(SequenceEmpty, match="try again"):
            SerialSequence(NAME, numbers, lambda: DAILY).next(DAYS[0])
        assert numbers.asked == 2 * TRIES


async def test_a_period_that_is_always_closed_is_given_up_by_tasks(sequencer: Sequencer) -> None:
    """The same on an event loop."""
    async with sequencer:
        numbers = Restless(sequencer)
        with pytest.raises(SequenceEmpty, match="try again"):
            await SerialSequence(NAME, numbers, lambda: DAILY).next_async(DAYS[0])
        assert numbers.asked == 2 * TRIES
