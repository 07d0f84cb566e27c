"""Ids that rise over all clients, asked for together by those who wait."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain

import pytest

from sequencer.sdk import (
    Lease,
    LeaseRequest,
    LocalRangeSource,
    SequenceEmpty,
    SequenceNotFound,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
)

NAME = "test.strict"


class Source(LocalRangeSource):
    """Waits at a gate, fails as it is told, grants no more than it is told; notes the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.create(NAME)
        self.gate = threading.Event()
        self.gate.set()
        self.failures: Iterator[Exception] = iter(())
        self.requests: list[LeaseRequest] = []
        self.most = 2**32
        self.rewound = False

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        self.requests.append(request)
        self.gate.wait()
        for failure in self.failures:
            raise failure
        if self.rewound:
            return Lease(number=9, position=1, first=1, size=1)
        size = min(request.size, self.most)
        smaller = LeaseRequest(
            name=request.name,
            client_id=request.client_id,
            size=size,
            last=request.last,
            strict=request.strict,
        )
        return super().lease(smaller, timeout_s=timeout_s)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def sequencer(source: Source) -> Iterator[Sequencer]:
    with Sequencer(source, timeout_s=10) as sequencer:
        yield sequencer


def until(condition: Callable[[], bool]) -> None:
    """Wait for what other threads bring about."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_ids_rise_over_clients(source: Source) -> None:
    """Two clients in turn: each id is above all that went before, and none is left out."""
    with Sequencer(source) as one, Sequencer(source) as other:
        taken = [client.strict(NAME).next_id() for _ in range(50) for client in (one, other)]

    assert taken == list(range(1, 101))
    assert all(request.strict for request in source.requests)


def test_callers_who_wait_together_share_a_request(source: Source, sequencer: Sequencer) -> None:
    """While one request is under way, all who come wait for the next one."""
    strict = sequencer.strict(NAME)
    source.gate.clear()
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.append(strict.next_id())) for _ in range(20)]
    threads[0].start()
    until(lambda: len(source.requests) == 1)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(strict._line._waiting) == 19)
    source.gate.set()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(1, 21))
    assert [request.size for request in source.requests] == [1, 19]


async def test_tasks_wait_without_blocking_their_loop(source: Source) -> None:
    """Tasks share requests as threads do; the blocking ways are refused on a loop."""
    async with Sequencer(source) as sequencer:
        strict = sequencer.strict(NAME)
        with pytest.raises(SequenceEmpty, match="await"):
            strict.next_id()
        ids = await asyncio.gather(*(strict.next_id_async() for _ in range(50)))
        block = await strict.next_ids_async(3)

    assert sorted(ids) == list(range(1, 51))
    assert [*chain.from_iterable(block)] == [51, 52, 53]
    assert len(source.requests) < 50


def test_ids_of_a_caller_who_has_gone_go_to_nobody(source: Source) -> None:
    """Giving them to a later caller would put its id below one that was given before."""
    with Sequencer(source, timeout_s=0.05) as sequencer:
        strict = sequencer.strict(NAME)
        source.gate.clear()
        with pytest.raises(SequenceEmpty, match=r"0\.05 s"):
            strict.next_ids(5)
        source.gate.set()
        until(lambda: strict.stats().wasted == 5)

        assert strict.next_id() == 6
        assert strict.stats().used == 1


async def test_a_cancelled_task_leaves_the_line(source: Source) -> None:
    """Its ids are dropped, and others go on."""
    async with Sequencer(source) as sequencer:
        strict = sequencer.strict(NAME)
        source.gate.clear()
        tasks = [asyncio.create_task(strict.next_id_async()) for _ in range(3)]
        await asyncio.to_thread(until, lambda: bool(source.requests))
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        source.gate.set()

        assert len({await tasks[1], await tasks[2]}) == 2


def test_a_grant_that_is_smaller_is_topped_up(source: Source, sequencer: Sequencer) -> None:
    """A block that a source grants in parts comes as a whole."""
    source.most = 400

    block = sequencer.strict(NAME).next_ids(1_000)

    assert [*chain.from_iterable(block)] == list(range(1, 1_001))
    assert sequencer.strict(NAME).stats().leases == 3


def test_an_outage_is_waited_for(source: Source, sequencer: Sequencer) -> None:
    """A server that is away for a moment is asked again; a refusal is told at once."""
    source.failures = iter([SequencerUnavailable("away")] * 2)
    assert sequencer.strict(NAME).next_id() == 1

    source.failures = iter([SequencerError("no right")])
    with pytest.raises(SequencerError, match="no right"):
        sequencer.strict(NAME).next_id()
    with pytest.raises(SequenceNotFound):
        sequencer.strict("no.such").next_id()


def test_a_long_outage_is_told(source: Source) -> None:
    """After `timeout_s` the caller hears why."""
    source.failures = iter(lambda: SequencerUnavailable("away"), None)
    with (
        Sequencer(source, timeout_s=0.2) as sequencer,
        pytest.raises(SequencerUnavailable, match="away"),
    ):
        sequencer.strict(NAME).next_id()


def test_a_source_that_grants_twice_is_not_believed(source: Source) -> None:
    """Ids that were given before are not given again."""
    with Sequencer(source, timeout_s=0.1) as sequencer:
        strict = sequencer.strict(NAME)
        strict.next_id()
        source.rewound = True
        with pytest.raises(SequencerUnavailable, match="had before"):
            strict.next_id()


def test_closing_refuses_who_waits_and_who_comes(source: Source) -> None:
    """Nobody is left waiting for a client that has ended."""
    sequencer = Sequencer(source, timeout_s=30)
    strict = sequencer.strict(NAME)
    source.gate.clear()
    told: list[str] = []

    def take() -> None:
        try:
            strict.next_id()
        except SequencerError as error:
            told.append(str(error))

    threads = [threading.Thread(target=take) for _ in range(2)]
    threads[0].start()
    until(lambda: bool(source.requests))
    threads[1].start()
    until(lambda: len(strict._line._waiting) == 1)
    sequencer.close()
    threads[1].join()
    source.gate.set()
    threads[0].join()

    assert len(told) == 1
    assert "closed" in told[0]
    with pytest.raises(SequencerError, match="closed"):
        strict.next_id()


@pytest.mark.parametrize("count", [-1, 2**32 + 1])
def test_impossible_blocks_are_refused(sequencer: Sequencer, count: int) -> None:
    """As for other sequences."""
    with pytest.raises(ValueError, match="between 0 and"):
        sequencer.strict(NAME).next_ids(count)
    assert sequencer.strict(NAME).next_ids(0) == []


def test_a_child_waits_in_a_line_of_its_own(source: Source, sequencer: Sequencer) -> None:
    """Callers of the parent are not waited for, nor its threads."""
    strict = sequencer.strict(NAME)
    strict.next_id()
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:  # a local source refuses a child: that it is asked is what counts
        try:
            strict.next_id()
        except SequencerError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert "process that made it" in pipe.read()
    os.waitpid(pid, 0)
    assert strict.next_id() == 2
    assert source.requests[-1].last is not None


def test_what_comes_later_is_higher(sequencer: Sequencer) -> None:
    """Eight threads note when they asked and what they got: later callers have higher ids."""
    strict = sequencer.strict(NAME)
    history: list[tuple[float, float, int]] = []

    def work() -> None:
        for _ in range(200):
            began = time.monotonic()
            id_ = strict.next_id()
            history.append((began, time.monotonic(), id_))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(id_ for *_, id_ in history) == list(range(1, 1_601))
    by_end = sorted(history, key=lambda entry: entry[1])
    highest = 0
    seen = iter(by_end)
    ended = next(seen)
    for began, _, id_ in sorted(history):
        while ended[1] < began:
            highest = max(highest, ended[2])
            ended = next(seen)
        assert id_ > highest
