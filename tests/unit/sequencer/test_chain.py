"""The chain of range iterators that ids are taken from."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from sequencer.sdk._chain import IdChain, RangeIterator, iterate, raising


class Pieces:
    """Answers one piece after the other; a piece that is an exception is raised."""

    def __init__(self, *pieces: range | BaseException) -> None:
        self._pieces = iter(pieces)
        self._live = iterate(range(0))

    def __call__(self) -> RangeIterator:
        if not self._live.__length_hint__():
            piece = next(self._pieces)
            if isinstance(piece, BaseException):
                raise piece
            self._live = iterate(piece)
        return self._live


def test_ids_come_in_the_order_of_the_pieces() -> None:
    """The end of a piece is not seen by who takes the ids."""
    chain = IdChain(Pieces(range(1, 3), range(10, 13)))

    assert [chain.next_id() for _ in range(5)] == [1, 2, 10, 11, 12]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt("x")])
def test_an_error_reaches_the_caller_and_the_chain_lives_on(error: BaseException) -> None:
    """An exception of the source, an interrupt included, is raised once and then forgotten."""
    chain = IdChain(Pieces(error, range(7, 9)))

    with pytest.raises(type(error), match="x"):
        chain.next_id()

    assert chain.next_id() == 7


def test_ids_beyond_a_machine_word_still_come() -> None:
    """The last ids of the 64-bit space take Python's long ranges, with the same protocol."""
    chain = IdChain(Pieces(range(2**63 - 2, 2**63)))

    assert [chain.next_id(), chain.next_id()] == [2**63 - 2, 2**63 - 1]


def test_raising_raises_once() -> None:
    """After its one exception the iterator has ended, so the chain asks its source again."""
    ids = raising(KeyError("gone"))

    with pytest.raises(KeyError, match="gone"):
        next(ids)
    assert list(ids) == []


def test_a_chain_that_nobody_uses_is_collected() -> None:
    """The chain and its source form a cycle that the collector can take apart."""
    chain = IdChain(Pieces(ValueError("once"), range(9)))
    with pytest.raises(ValueError, match="once"):
        chain.next_id()
    chain.next_id()
    gone = weakref.ref(chain)

    del chain
    gc.collect()

    assert gone() is None


@pytest.fixture
def hasty_interpreter() -> Iterator[None]:
    """Threads are switched every microsecond."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_signal_that_raises_ends_a_wait_and_not_the_chain() -> None:
    """Ctrl-C in a thread that waits for ids leaves the sequence usable."""
    enough, interrupted = threading.Lock(), threading.Event()
    enough.acquire()

    def piece() -> RangeIterator:
        if not interrupted.is_set():
            enough.acquire()
        return iterate(range(5, 6))

    def interrupt(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise InterruptedError

    def press_keys() -> None:
        """A signal just before the wait begins does not end it, so press again."""
        while not interrupted.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    chain = IdChain(piece)
    before = signal.signal(signal.SIGUSR1, interrupt)
    keyboard = threading.Thread(target=press_keys)
    with pytest.raises(InterruptedError):  # noqa: PT012 - the signal may come before the wait
        keyboard.start()
        chain.next_id()
    keyboard.join()
    signal.signal(signal.SIGUSR1, before)

    assert chain.next_id() == 5


@pytest.mark.usefixtures("hasty_interpreter")
def test_six_threads_share_a_chain_without_loss_or_repetition() -> None:
    """Pieces of seven ids, a source that fails now and then, a switch every microsecond."""
    lock, failures = threading.Lock(), iter(range(10**9))
    position, live = 0, iterate(range(0))

    def piece() -> RangeIterator:
        nonlocal position, live
        with lock:
            if not live.__length_hint__():
                if next(failures) % 5 == 0:
                    raise LookupError
                live, position = iterate(range(position, position + 7)), position + 7
            return live

    taken = in_threads(6, 20_000, IdChain(piece).next_id)

    ids = sorted(id_ for per_thread in taken for id_ in per_thread)
    assert ids == list(range(120_000))
    assert all(per_thread == sorted(per_thread) for per_thread in taken)


def in_threads(threads: int, count: int, take: Callable[[], int]) -> list[list[int]]:
    """What each thread took; LookupErrors are taken as 'try again'."""
    taken: list[list[int]] = [[] for _ in range(threads)]

    def work(mine: list[int]) -> None:
        while len(mine) < count:
            try:
                mine.append(take())
            except LookupError:
                continue

    workers = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return taken
