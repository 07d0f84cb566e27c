"""What other id libraries were seen to get wrong in the client, by the numbers of the list.

The numbers are those of "Known failures of the others"; failures of servers and of
serial numbers have their tests beside those.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import chain

import pytest

from sequencer.sdk import (
    Lease,
    LeaseRequest,
    LocalRangeSource,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tail,
)
from sequencer.sdk._chain import IdChain, RangeIterator, iterate
from sequencer.sdk._supply import delays

NAME = "test.ids"
STORE_S = 0.02


class Store(LocalRangeSource):
    """Takes as long as a real store; may be away. Notes the calls."""

    def __init__(self, *, takes_s: float = 0.0) -> None:
        super().__init__()
        self.create(NAME)
        self.takes_s = takes_s
        self.away = False
        self.requests: list[LeaseRequest] = []
        self.tails: list[Tail] = []

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        self.requests.append(request)
        time.sleep(self.takes_s)
        if self.away:
            raise SequencerUnavailable("away")
        return super().lease(request, timeout_s=timeout_s)

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:
        self.tails.append(tail)
        super().give_back(tail, timeout_s=timeout_s)


def test_4_leaf_no_call_fails_from_cold() -> None:
    """Leaf: 9-19 errors in the first second with a store of 5-20 ms. Here callers wait."""
    taken: list[list[int]] = [[] for _ in range(4)]
    with Sequencer(Store(takes_s=STORE_S), timeout_s=60) as sequencer:
        next_id = sequencer.sequence(NAME).next_id

        def work(mine: list[int]) -> None:
            mine.extend(next_id() for _ in range(50_000))

        threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(chain.from_iterable(taken)) == list(range(1, 200_001))


def test_4_tinyid_ids_are_not_pinned_at_step_by_round_trip() -> None:
    """tinyid: 78,000 ids/s at 20 ms, whatever is wanted. Here leases grow with the rate."""
    store = Store(takes_s=STORE_S)
    with Sequencer(store, timeout_s=60) as sequencer:
        next_id = sequencer.sequence(NAME).next_id
        for _ in range(2_000_000):
            next_id()
        waits = sequencer.sequence(NAME).stats().waits

    assert len(store.requests) < 10
    assert waits < 6
    assert max(request.size for request in store.requests) > 1_000_000


def test_4_tinyid_an_outage_is_not_hammered() -> None:
    """tinyid: 444 calls in half a second of outage. Here pauses double up to two seconds."""
    store = Store()
    store.away = True
    with (
        Sequencer(store, timeout_s=0.5) as sequencer,
        pytest.raises(SequencerUnavailable),
    ):
        sequencer.sequence(NAME).next_id()
    shortest = delays(uniform=lambda low, _: low)

    assert len(store.requests) <= 6
    assert sum(next(shortest) for _ in range(6)) > 0.5
    assert sum(next(shortest) for _ in range(3)) >= 3 * 1.0


def test_4_uid_generator_a_low_buffer_refuses_nobody() -> None:
    """uid-generator: 0.5-1.3 % of calls refused while it fills. Here they wait, or are answered."""
    store = Store(takes_s=0.001)
    with Sequencer(store, survive_s=0, timeout_s=60) as sequencer:
        sequence = sequencer.sequence(NAME)
        taken = [id_ for _ in range(300) for block in sequence.next_ids(997) for id_ in block]

    assert taken == list(range(1, 300 * 997 + 1))


def test_6_a_restart_loses_no_id() -> None:
    """Leaf, tinyid: up to a million ids lost at each restart. Here a clean end returns the tail."""
    store, taken = Store(), list[int]()
    for _ in range(5):
        with Sequencer(store) as sequencer:
            taken += [sequencer.sequence(NAME).next_id() for _ in range(10)]

    assert taken == list(range(1, 51))
    assert len({tail.lease_number for tail in store.tails}) == len(store.tails), "each has its own"


def test_6_a_tail_is_granted_as_a_first_lease_only() -> None:
    """To a client that holds higher ids it would go back; that one goes on above."""
    store = Store()
    with Sequencer(store) as lower, Sequencer(store) as higher:
        lower.sequence(NAME).next_id()
        above = higher.sequence(NAME).next_id()
        lower.close()
        taken = [*chain.from_iterable(higher.sequence(NAME).next_ids(5_000))]
        with Sequencer(store) as fresh:
            assert fresh.sequence(NAME).next_id() == 2

    assert [above, *taken] == sorted({above, *taken})


def test_6_a_crash_leaves_its_range_used() -> None:
    """What a client held that did not come back is never granted again."""
    store = Store()
    lost = Sequencer(store)
    lost.sequence(NAME).next_id()
    held = lost.sequence(NAME).stats().held
    with Sequencer(store) as sequencer:
        assert sequencer.sequence(NAME).next_id() > held
    lost.close()


def test_7_a_cached_method_does_not_reissue_in_a_fork() -> None:
    """A hook that swaps the attribute does not reach who has cached the method."""
    store = Store()
    with Sequencer(store) as sequencer:
        cached = sequencer.sequence(NAME).next_id
        blocks = sequencer.sequence(NAME).next_ids
        assert [cached(), *blocks(3), *blocks(3)] == [1, range(2, 5), range(5, 8)]
        reading, writing = os.pipe()
        if not os.fork():
            for take in (cached, lambda: blocks(3)):
                try:
                    os.write(writing, f"{take()} ".encode())
                except SequencerError:  # a local source serves its own process alone
                    os.write(writing, b"none ")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "none none "
        os.wait()
        assert [cached(), *blocks(3)] == [8, range(9, 12)]


def pieces(size: int) -> Iterator[range | Exception]:
    """Ranges, with an error after each."""
    for first in range(0, 10**9, size):
        yield range(first, first + size)
        yield LookupError("the store is away")


def test_8_a_chain_outlives_threads_and_errors() -> None:
    """Over a generator two threads end a chain for good; so does a source that raises once."""
    lock, live, coming = threading.Lock(), iterate(range(0)), pieces(50)

    def piece() -> RangeIterator:
        nonlocal live
        with lock:
            if not live.__length_hint__():
                found = next(coming)
                if isinstance(found, Exception):
                    raise found
                live = iterate(found)
            return live

    ids, taken, errors = IdChain(piece), [list[int]() for _ in range(2)], list[str]()

    def work(mine: list[int]) -> None:
        while len(mine) < 5_000:
            try:
                mine.append(ids.next_id())
            except LookupError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(chain.from_iterable(taken)) == list(range(10_000))
    assert len(errors) > 100


def test_8_no_inner_iterator_runs_python_code() -> None:
    """One that does crashes the interpreter when another thread drops it while it runs."""
    with Sequencer(Store()) as sequencer:
        sequence = sequencer.sequence(NAME)
        sequence.next_id()
        holdings = sequence._buffer._holdings
        assert type(holdings.live) is type(iter(range(0)))
        sequence.next_ids(3)
        sequence.next_ids(3)
        size, blocks, starts = holdings.blocks
        assert (size, type(blocks), type(starts)) == (3, map, type(iter(range(0))))
