"""The buffer between leases and ids."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sequencer.sdk import Lease, SequenceEmpty, SequenceExhausted, SequencerError
from sequencer.sdk import _buffer as buffer_module
from sequencer.sdk._buffer import REFUSED_S, Asked, IdBuffer

PIECE = 1_000


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Iterator[None]:
    """Pieces of a thousand ids, so that tests come to their ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer_module, "PIECE", PIECE)
        yield


class Counted:
    """Counts how often more ids were asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, _: Asked) -> None:
        self.times += 1


def buffer(
    ask: Callable[[Asked], None] | None = None,
    *,
    timeout_s: float = 0.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> IdBuffer:
    return IdBuffer("test.ids", timeout_s=timeout_s, ask=ask or Counted(), monotonic=monotonic)


def lease(number: int, first: int, size: int) -> Lease:
    return Lease(number=number, position=first - 1 + size, first=first, size=size)


class Against(RuleBasedStateMachine):
    """The buffer against a model: a queue of (id, lease number)."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Counted()
        self.buffer = buffer(self.asked)
        self.held: deque[tuple[int, int]] = deque()
        self.granted = 0
        self.number = 0

    @rule(gap=st.integers(0, 5), size=st.integers(1, 3 * PIECE), low=st.integers(0, 2 * PIECE))
    def put(self, gap: int, size: int, low: int) -> None:
        first = self.granted + gap + 1
        self.number += 1
        self.buffer.put(lease(self.number, first, size), low=low)
        self.held.extend((id_, self.number) for id_ in range(first, first + size))
        self.granted = first + size - 1

    @rule(count=st.integers(1, PIECE))
    def next_ids_one_by_one(self, count: int) -> None:
        for _ in range(min(count, len(self.held))):
            assert self.buffer.next_id() == self.held.popleft()[0]

    @rule(count=st.integers(0, 4 * PIECE))
    def ranges(self, count: int) -> None:
        if count > len(self.held):
            with pytest.raises(SequenceEmpty):
                self.buffer.ranges(count)
            return
        self._take(count)

    @rule(count=st.integers(1, PIECE // 3), times=st.integers(2, 8))
    def blocks_of_one_size(self, count: int, times: int) -> None:
        for _ in range(min(times, len(self.held) // count)):
            self._take(count)

    def _take(self, count: int) -> None:
        expected = [self.held.popleft()[0] for _ in range(count)]
        assert list(chain.from_iterable(self.buffer.ranges(count))) == expected

    @precondition(lambda self: not self.held)
    @rule()
    def an_empty_buffer_says_so(self) -> None:
        with pytest.raises(SequenceEmpty):
            self.buffer.next_id()
        assert self.asked.times

    @rule()
    def drain(self) -> None:
        tails: dict[int, int] = {}
        for id_, number in self.held:
            tails.setdefault(number, id_)
        self.held.clear()
        drained = self.buffer.drain()
        assert {held.number: held.ids[used] for held, used in drained} == tails

    @invariant()
    def the_level_is_known(self) -> None:
        assert self.buffer.level().held == len(self.held)
        assert self.buffer.level().leases == self.number


Against.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAgainstModel = Against.TestCase


@pytest.mark.parametrize("increment", [-1, -7, 3])
def test_ids_go_by_the_increment(increment: int) -> None:
    """Single ids, blocks and tails follow the order of the sequence, be it downwards."""
    ids = buffer()
    held = Lease(number=1, position=100, first=50, size=100, increment=increment)
    ids.put(held, low=0)
    taken = [ids.next_id(), *chain.from_iterable(ids.ranges(7) + ids.ranges(7) + ids.ranges(7))]
    taken += [ids.next_id(), *chain.from_iterable(ids.ranges(3))]

    assert taken == [50 + increment * n for n in range(26)]
    assert ids.drain() == [(held, 26)]


def test_a_new_epoch_drops_what_was_held_before() -> None:
    """A source that lost its log may grant those ids again, so nobody gets them here."""
    ids = buffer()
    ids.put(lease(1, 1, 3 * PIECE), low=0)
    ids.put(lease(2, 10_000, PIECE), low=0)
    next_id, blocks = ids.next_id, ids.ranges
    assert [next_id(), *blocks(5), *blocks(5)] == [1, range(2, 7), range(7, 12)]

    ids.put(Lease(number=4, epoch=1, position=30_010, first=30_001, size=10), low=0)

    assert [*blocks(5), next_id()] == [range(30_001, 30_006), 30_006]
    level = ids.level()
    assert (level.jumps, level.dropped, level.held) == (1, 4 * PIECE - 11, 4)
    assert level.used == 11 + 6


def test_a_waiting_thread_gets_the_ids_that_arrive() -> None:
    """With an empty buffer `next_id` blocks until a lease comes."""
    asked = threading.Event()
    ids = buffer(lambda _: asked.set(), timeout_s=60)

    def fill() -> None:
        asked.wait()
        ids.put(lease(1, 100, 5), low=0)

    filler = threading.Thread(target=fill)
    filler.start()
    assert ids.next_id() == 100
    filler.join()
    assert ids.level().waits == 1


def test_waiting_in_vain_ends_with_sequence_empty() -> None:
    """After `timeout_s` the thread is told, and the buffer can be used again."""
    ids = buffer(timeout_s=0.01)

    with pytest.raises(SequenceEmpty, match=r"0\.01 s"):
        ids.next_id()

    ids.put(lease(1, 1, 1), low=0)
    assert ids.next_id() == 1


async def test_an_event_loop_is_never_blocked() -> None:
    """On a running loop an empty buffer says so at once, however long threads may wait."""
    ids = buffer(timeout_s=3600)

    with pytest.raises(SequenceEmpty, match="next_id_async"):
        ids.next_id()
    with pytest.raises(SequenceEmpty):
        ids.ranges(2)


def test_more_is_asked_for_once_until_it_comes() -> None:
    """However many ask, one refill is in flight; the next low level asks again."""
    asked = Counted()
    ids = buffer(asked)
    for _ in range(3):
        with pytest.raises(SequenceEmpty):
            ids.next_id()
    assert asked.times == 1

    ids.put(lease(1, 1, 4 * PIECE), low=PIECE)
    ids.ranges(2 * PIECE)
    assert asked.times == 1
    ids.ranges(2 * PIECE)
    assert asked.times == 2


def test_the_level_is_looked_at_while_single_ids_are_taken() -> None:
    """Crossing the low-water mark between two pieces asks for more, long before the end."""
    asked = Counted()
    ids = buffer(asked)
    ids.put(lease(1, 1, 4 * PIECE), low=2 * PIECE)
    assert asked.times == 0

    for _ in range(2 * PIECE + 1):
        ids.next_id()

    assert asked.times == 1
    assert ids.level().held == 2 * PIECE - 1


def test_a_lease_that_is_too_small_asks_for_another() -> None:
    """Near the end of a sequence grants are smaller than asked for."""
    asked = Counted()
    ids = buffer(asked)

    ids.put(lease(1, 1, 10), low=500)

    assert asked.times == 1


def test_a_refusal_is_told_at_once_and_stands_for_a_while() -> None:
    """A refused client is not asked for again before `REFUSED_S` have passed."""
    now, asked = [0.0], Counted()
    ids = buffer(asked, timeout_s=3600, monotonic=lambda: now[0])
    ids.prefetch()
    ids.fail(SequenceExhausted("none left"), final=True)

    for _ in range(2):
        with pytest.raises(SequenceExhausted, match="none left"):
            ids.next_id()
    assert asked.times == 1

    now[0] += REFUSED_S
    ids.prefetch()
    assert asked.times == 2


def test_what_is_held_is_used_up_before_a_refusal_is_told() -> None:
    """A sequence that is exhausted at its source still gives what was leased."""
    ids = buffer()
    ids.put(lease(1, 1, 2), low=500)
    ids.fail(SequenceExhausted("none left"), final=True)

    assert [ids.next_id(), ids.next_id()] == [1, 2]
    with pytest.raises(SequenceExhausted):
        ids.next_id()


def test_the_last_trouble_explains_a_timeout() -> None:
    """Who waited while the source was away learns that, not just that there are no ids."""
    ids = buffer()
    ids.fail(SequencerError("away"), final=False)

    with pytest.raises(SequencerError, match="away"):
        ids.next_id()


def test_a_closed_buffer_gives_nothing() -> None:
    """Closing ends single ids and ranges at once, though ids are held; those can be drained."""
    ids = buffer()
    ids.put(lease(1, 1, 10), low=0)
    taken = ids.next_id
    assert taken() == 1

    ids.close()

    for refused in (taken, lambda: ids.ranges(1)):
        with pytest.raises(SequencerError, match="closed"):
            refused()
    assert ids.drain() == [(lease(1, 1, 10), 1)]


def test_closing_ends_a_wait() -> None:
    """A thread that waits for ids is told when the buffer is closed."""
    asked = threading.Event()
    ids = buffer(lambda _: asked.set(), timeout_s=60)

    def close() -> None:
        asked.wait()
        ids.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(SequencerError, match="closed"):
        ids.next_id()
    closer.join()


def test_a_reset_buffer_has_forgotten_all_even_for_a_bound_method() -> None:
    """What a forked child does: the method bound before must not go on with the old range."""
    ids = buffer()
    ids.put(lease(1, 1, 10 * PIECE), low=0)
    bound = ids.next_id
    assert bound() == 1

    ids.reset()

    with pytest.raises(SequenceEmpty):
        bound()
    ids.put(lease(2, 50_000, 1), low=0)
    assert bound() == 50_000
    assert ids.level().last == lease(2, 50_000, 1).witness


async def test_watchers_are_completed_by_new_ids_and_left_nowhere() -> None:
    """A future completes when ids arrive, from whichever thread; leaving the block forgets it."""
    ids = buffer()
    ids.prefetch()
    changed = asyncio.get_running_loop().create_future()

    with ids.watching(changed):
        await asyncio.to_thread(ids.put, lease(1, 1, 1), low=0)
        await changed

    assert not ids._arrival.awaited


async def test_a_watcher_that_comes_late_is_completed_at_once() -> None:
    """Ids that arrive between an attempt and the watch are not missed."""
    ids = buffer()
    ids.put(lease(1, 1, 1), low=0)
    changed = asyncio.get_running_loop().create_future()

    with ids.watching(changed):
        await changed


def test_a_watcher_of_a_closed_loop_harms_nobody() -> None:
    """A loop that ended while one of its tasks waited does not stop the refill."""
    loop = asyncio.new_event_loop()
    changed: asyncio.Future[None] = loop.create_future()
    ids = buffer()
    ids.prefetch()
    with ids.watching(changed):
        loop.close()
        ids.put(lease(1, 1, 1), low=0)

    assert ids.next_id() == 1


@pytest.fixture
def hasty_interpreter() -> Iterator[None]:
    """Threads are switched every microsecond."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_interpreter")
def test_six_threads_wait_and_take_without_loss_or_repetition() -> None:
    """Leases of a few ids, so that threads wait nearly always; two of them take ranges."""
    wanted, asked = 15_000, threading.Semaphore(0)
    ids = buffer(lambda _: asked.release(), timeout_s=60)
    taken: list[list[int]] = [[] for _ in range(6)]

    def single(mine: list[int]) -> None:
        next_id = ids.next_id
        while len(mine) < wanted:
            mine.append(next_id())

    def blocks(mine: list[int]) -> None:
        while len(mine) < wanted:
            mine.extend(chain.from_iterable(ids.ranges(3)))

    def fill() -> None:
        first = 1
        while asked.acquire() and any(worker.is_alive() for worker in workers):
            ids.put(lease(first, first, 11), low=0)
            first += 11

    workers = [threading.Thread(target=single, args=(mine,)) for mine in taken[:4]]
    workers += [threading.Thread(target=blocks, args=(mine,)) for mine in taken[4:]]
    filler = threading.Thread(target=fill)
    for thread in (*workers, filler):
        thread.start()
    for worker in workers:
        worker.join()
    asked.release()
    filler.join()

    used = sorted(chain.from_iterable(taken))
    unused = sorted(chain.from_iterable(ids.ranges(ids.level().held)))
    assert sorted(used + unused) == list(range(1, len(used) + len(unused) + 1))
    assert all(mine == sorted(mine) for mine in taken)
