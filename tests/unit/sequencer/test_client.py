"""The client: sequences that fill themselves in the background."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import chain
from math import inf, nan
from typing import Any

import pytest

from sequencer.sdk import (
    Lease,
    LeaseRequest,
    LocalRangeSource,
    SequenceEmpty,
    SequenceExhausted,
    SequenceNotFound,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tail,
)
from sequencer.sdk._supply import FIRST_DELAY_S, MAX_DELAY_S, delays

NAME = "test.ids"


class Source(LocalRangeSource):
    """Does what it is told: waits at a gate, fails a number of times, notes what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.create(NAME)
        self.gate = threading.Event()
        self.gate.set()
        self.failures: Iterator[Exception] = iter(())
        self.requests: list[LeaseRequest] = []
        self.given_back: list[tuple[int, int]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.gate.wait()
        self.in_flight -= 1
        for failure in self.failures:
            raise failure
        return super().lease(request, timeout_s=timeout_s)

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:
        for failure in self.failures:
            raise failure
        self.given_back.append((tail.lease_number, tail.used))
        super().give_back(tail, timeout_s=timeout_s)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def source() -> Source:
    return Source()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def sequencer(source: Source) -> Iterator[Sequencer]:
    with Sequencer(source, timeout_s=10) as sequencer:
        yield sequencer


def test_ids_begin_at_the_start_and_rise(sequencer: Sequencer) -> None:
    """A fresh sequence gives 1, 2, 3, over the ends of pieces and leases."""
    ids = sequencer.sequence(NAME)

    assert [ids.next_id() for _ in range(5_000)] == list(range(1, 5_001))
    assert ids.stats().leases > 1


def test_a_name_has_one_sequence(sequencer: Sequencer) -> None:
    """Asking again answers the same object, so that ids are never held twice."""
    assert sequencer.sequence(NAME) is sequencer.sequence(NAME)
    assert sequencer.sequence("other.ids") is not sequencer.sequence(NAME)


def test_blocks_and_single_ids_rise_together(sequencer: Sequencer) -> None:
    """Ids taken one by one and in ranges never go back, and none is left out."""
    ids = sequencer.sequence(NAME)
    taken = [ids.next_id(), *chain.from_iterable(ids.next_ids(3_000)), ids.next_id()]
    taken += chain.from_iterable(ids.next_ids(1))

    assert taken == list(range(1, 3_004))
    assert ids.next_ids(0) == []


@pytest.mark.parametrize("count", [-1, 2**32 + 1])
def test_impossible_blocks_are_refused(sequencer: Sequencer, count: int) -> None:
    """A block must not be negative, nor larger than a process may hold."""
    with pytest.raises(ValueError, match="between 0 and"):
        sequencer.sequence(NAME).next_ids(count)


async def test_awaiting_an_id_waits_for_it(source: Source) -> None:
    """On a loop an empty sequence is waited for without blocking, by many tasks at once."""
    source.gate.clear()
    async with Sequencer(source, timeout_s=10) as sequencer:
        ids = sequencer.sequence(NAME)
        with pytest.raises(SequenceEmpty):
            ids.next_id()
        tasks = [asyncio.create_task(ids.next_id_async()) for _ in range(50)]
        block = asyncio.create_task(ids.next_ids_async(2_000))
        await asyncio.sleep(0)
        source.gate.set()

        singles = await asyncio.gather(*tasks)
        taken = [*singles, *chain.from_iterable(await block)]

    assert sorted(taken) == list(range(1, 2_051))


async def test_a_cancelled_wait_leaves_nothing_behind(source: Source) -> None:
    """Cancelling a task that waits for an id takes no id and leaves no watcher."""
    source.gate.clear()
    async with Sequencer(source, timeout_s=10) as sequencer:
        ids = sequencer.sequence(NAME)
        task = asyncio.create_task(ids.next_id_async())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not ids._buffer._arrival.awaited
        source.gate.set()
        assert await ids.next_id_async() == 1


async def test_waiting_on_a_loop_ends_after_the_timeout(source: Source) -> None:
    """The wait is bounded; what went wrong is said, and the client recovers by itself."""
    source.failures = iter([SequencerUnavailable("away")] * 3)
    source.gate.clear()
    async with Sequencer(source, timeout_s=0.01) as sequencer:
        ids = sequencer.sequence(NAME)
        with pytest.raises(SequenceEmpty):
            await ids.next_id_async()
        source.gate.set()
        while True:
            try:
                assert await ids.next_id_async() == 1
                break
            except (SequenceEmpty, SequencerUnavailable):
                continue


def test_an_outage_is_survived_and_ended_by_itself(source: Source) -> None:
    """Attempts go on until the source is back; who waits that long gets his id."""
    source.failures = iter([SequencerUnavailable("away")] * 3)

    with Sequencer(source, timeout_s=30) as sequencer:
        assert sequencer.sequence(NAME).next_id() == 1

    assert len(source.requests) >= 4


def test_a_long_outage_is_told_to_who_waits(source: Source) -> None:
    """After `timeout_s` without the source a thread gets SequencerUnavailable with its text."""
    source.failures = iter(lambda: SequencerUnavailable("away"), None)

    with (
        Sequencer(source, timeout_s=0.2) as sequencer,
        pytest.raises(SequencerUnavailable, match="away"),
    ):
        sequencer.sequence(NAME).next_id()


def test_a_missing_sequence_is_told_at_once(source: Source) -> None:
    """Nobody waits for a sequence that is not there, on whichever path."""
    with Sequencer(source, timeout_s=3600) as sequencer:
        ids = sequencer.sequence("no.such")
        with pytest.raises(SequenceNotFound):
            ids.next_id()
        with pytest.raises(SequenceNotFound):
            asyncio.run(ids.next_id_async())


def test_missing_sequences_can_be_created(source: Source) -> None:
    """With `create_missing` the first id wanted makes the sequence."""
    with Sequencer(source, create_missing=True) as sequencer:
        assert sequencer.sequence("brand.new").next_id() == 1


def test_an_exhausted_sequence_gives_all_its_ids_first(source: Source) -> None:
    """The last id is followed by SequenceExhausted."""
    source.create("short.one", start=5, max_value=1_500)

    with Sequencer(source) as sequencer:
        ids = sequencer.sequence("short.one")
        assert [ids.next_id() for _ in range(1_496)] == list(range(5, 1_501))
        with pytest.raises(SequenceExhausted):
            ids.next_id()
        with pytest.raises(SequenceExhausted):
            ids.next_ids(2)


def test_a_faulty_source_does_not_silence_the_client(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that no source may raise is logged, told to who waits, and survived."""
    source.failures = iter([ZeroDivisionError()])

    with Sequencer(source, timeout_s=30) as sequencer:
        with pytest.raises(SequencerError, match="ZeroDivisionError"):
            sequencer.sequence(NAME).next_id()
        source.create("other.ids")
        assert sequencer.sequence("other.ids").next_id() == 1

    assert "refill_failed" in caplog.text


class Rewound(Source):
    """A source that was restored from an old copy after its first grant, and has no fence."""

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        self.requests.append(request)
        return Lease(number=len(self.requests), position=1_000, first=1, size=1_000)


def test_ids_that_were_held_before_are_not_taken_again() -> None:
    """A source that grants a range twice is not believed."""
    with Sequencer(Rewound(), timeout_s=0.2) as sequencer:
        ids = sequencer.sequence(NAME)
        assert [ids.next_id() for _ in range(1_000)] == list(range(1, 1_001))
        with pytest.raises(SequencerUnavailable, match="had before"):
            ids.next_id()


def test_one_refill_is_in_flight(source: Source) -> None:
    """However many threads wait for many sequences, the source hears one call at a time."""
    names = [f"many.s{number}" for number in range(20)]
    for name in names:
        source.create(name)

    with Sequencer(source, timeout_s=30) as sequencer:
        sequences = [sequencer.sequence(name) for name in names]
        threads = [threading.Thread(target=ids.next_id) for ids in sequences for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert source.most_in_flight == 1
    assert {request.name for request in source.requests} == set(names)


def test_requests_carry_the_fence(source: Source) -> None:
    """Each request tells the newest lease that the client has been granted."""
    with Sequencer(source) as sequencer:
        sequencer.sequence(NAME).next_ids(10_000)
        sequencer.sequence(NAME).next_ids(10_000)

    first, second = source.requests[:2]
    assert first.last is None
    assert second.last is not None
    assert (second.last.number, second.last.position) == (1, first.size)
    assert first.client_id == second.client_id


def test_leaving_returns_what_is_unused(source: Source) -> None:
    """The tail of the current lease, and the leases not begun, go back in their order."""
    with Sequencer(source) as sequencer:
        ids = sequencer.sequence(NAME)
        ids.next_ids(100)
        ids.next_id()

    assert source.given_back[0] == (1, 101)
    assert source.closed
    with Sequencer(source) as another:
        assert another.sequence(NAME).next_id() == 102


def test_nothing_is_returned_while_the_source_is_away(source: Source) -> None:
    """Closing gives up at the first failed call; the ids are lost, and nobody is told twice."""
    with Sequencer(source) as sequencer:
        sequencer.sequence(NAME).next_id()
        source.failures = iter([SequencerUnavailable("away")])

    assert source.given_back == []
    sequencer.close()


def test_a_refused_return_does_not_keep_the_others(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """A tail that the source will not have is logged; the next one is returned."""
    source.create("other.ids")
    with Sequencer(source) as sequencer:
        sequencer.sequence(NAME).next_id()
        sequencer.sequence("other.ids").next_id()
        source.failures = iter([SequencerError("no such lease")])

    assert source.given_back
    assert "no such lease" in caplog.text


def test_a_closed_client_gives_nothing(source: Source) -> None:
    """After closing, ids and sequences are refused; closing again does nothing."""
    sequencer = Sequencer(source)
    ids = sequencer.sequence(NAME)
    ids.next_id()
    sequencer.close()
    sequencer.close()

    with pytest.raises(SequencerError, match="closed"):
        ids.next_id()
    with pytest.raises(SequencerError, match="closed"):
        sequencer.sequence(NAME)


def test_a_sequence_can_be_let_go(source: Source) -> None:
    """Its tail goes back at once, who still has it is refused, and the name can be had anew."""
    with Sequencer(source, timeout_s=10) as sequencer:
        ids = sequencer.sequence(NAME)
        assert ids.next_id() == 1
        sequencer.release(NAME)
        assert source.given_back == [(1, 1)]
        with pytest.raises(SequencerError, match="closed"):
            ids.next_id()

        assert sequencer.sequence(NAME).next_id() == 2
        sequencer.release("never.used")


def test_what_comes_too_late_goes_back(source: Source) -> None:
    """A lease that arrives after its sequence was let go is returned as a whole."""
    source.create("other.ids")
    with Sequencer(source, timeout_s=10) as sequencer:
        source.gate.clear()
        sequencer.sequence(NAME)
        until(lambda: bool(source.requests))
        sequencer.release(NAME)
        source.gate.set()
        until(lambda: bool(source.given_back))

        assert source.given_back == [(1, 0)]


def test_who_waits_is_served_first(source: Source) -> None:
    """However many sequences are being filled, a user who waits does not stand behind them."""
    names = [f"many.s{number}" for number in range(50)]
    for name in names:
        source.create(name)
    with Sequencer(source, timeout_s=30) as sequencer:
        source.gate.clear()
        sequences = [sequencer.sequence(name) for name in names]
        until(lambda: bool(source.requests))
        user = threading.Thread(target=sequences[-1].next_id)
        user.start()
        until(lambda: sequences[-1].stats().waits == 1)
        source.gate.set()
        user.join()

    assert source.requests[1].name == names[-1]


def test_an_unused_client_starts_no_thread(source: Source) -> None:
    """Nothing is fetched before the client is entered or an id is wanted."""
    before = frozenset(threading.enumerate())
    sequencer = Sequencer(source)
    sequencer.sequence(NAME)

    assert frozenset(threading.enumerate()) <= before
    assert source.requests == []
    sequencer.close()
    assert source.closed


def test_entering_fetches_ids_before_they_are_wanted(source: Source) -> None:
    """A service that enters its client at the start does not wait for its first id."""
    sequencer = Sequencer(source)
    ids = sequencer.sequence(NAME)
    with sequencer:
        until(lambda: ids.stats().held > 0)
        assert ids.next_id() == 1
        assert ids.stats().waits == 0


def test_stats_show_how_the_sequence_fares(source: Source) -> None:
    """Ids held, rate, waits, leases and the outage covered."""
    now = [0.0]
    with Sequencer(source, monotonic=lambda: now[0]) as sequencer:
        ids = sequencer.sequence(NAME)
        assert (ids.stats().rate_per_s, ids.stats().covered_s) == (0, inf)
        ids.next_ids(400)
        now[0] = 2.0
        stats = ids.stats()

    assert (stats.held, stats.leases, stats.rate_per_s) == (600, 1, 200)
    assert stats.covered_s == 3.0


def test_a_client_can_be_forgotten(source: Source) -> None:
    """The list of clients that forks look at keeps none alive."""
    sequencer = Sequencer(source)
    sequencer.sequence(NAME)
    sequencer.close()
    gone = weakref.ref(sequencer)

    del sequencer
    gc.collect()

    assert gone() is None


def test_pauses_double_with_jitter_up_to_a_bound() -> None:
    """The pause after a failure lies between half its bound and its bound."""
    longest = delays(uniform=lambda _, high: high)
    shortest = delays(uniform=lambda low, _: low)

    assert [next(longest) for _ in range(8)] == [
        min(MAX_DELAY_S, FIRST_DELAY_S * 2**n) for n in range(8)
    ]
    assert next(shortest) == FIRST_DELAY_S / 2


def test_threads_and_loops_share_a_sequence(source: Source) -> None:
    """Four threads and two event loops take ids together: none twice, none left out."""
    with Sequencer(source, survive_s=0, timeout_s=30) as sequencer:
        ids = sequencer.sequence(NAME)
        taken: list[list[int]] = [[] for _ in range(6)]

        def thread(mine: list[int]) -> None:
            mine.extend(ids.next_id() for _ in range(20_000))

        def loop(mine: list[int]) -> None:
            async def take() -> None:
                mine.extend([await ids.next_id_async() for _ in range(20_000)])

            asyncio.run(take())

        workers = [
            threading.Thread(target=thread if number < 4 else loop, args=(mine,))
            for number, mine in enumerate(taken)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    assert sorted(chain.from_iterable(taken)) == list(range(1, 120_001))
    assert all(mine == sorted(mine) for mine in taken)


@pytest.mark.parametrize("argument", ["survive_s", "timeout_s"])
@pytest.mark.parametrize("seconds", [nan, inf, -1.0])
def test_what_is_no_time_is_refused_at_once(source: Source, argument: str, seconds: float) -> None:
    """Not at the first id, by an error that does not say why."""
    times: dict[str, Any] = {argument: seconds}
    with pytest.raises(ValueError, match=f"{argument} is {seconds}"):
        Sequencer(source, **times)
    assert not source.requests
