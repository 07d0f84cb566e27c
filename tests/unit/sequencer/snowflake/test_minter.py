"""A minter under threads, loops, signals and forks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise

import pytest

from sequencer.sdk import SequenceEmpty, SequenceNotFound, SequencerError, SequencerUnavailable
from sequencer.sdk._errors import WorkerLost
from sequencer.sdk._snowflake import Snowflakes
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest
from sequencer.sdk._worker_local import LocalWorkerSource
from sequencer.sdk.layout import Layout
from tests.unit.sequencer.snowflake.worlds import NAME, Client, Wall

THREADS = 6
EACH = 60_000


@pytest.fixture
def snowflakes() -> Iterator[Snowflakes]:
    made = Snowflakes(LocalWorkerSource(), client_id="a", create_missing=True, timeout_s=30)
    yield made
    made.close()


class Away(LocalWorkerSource):
    """A source that can be away."""

    is_away = False

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:
        self._check()
        return super().acquire(request, timeout_s=timeout_s)

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:
        self._check()
        return super().renew(tenancy, window_s, timeout_s=timeout_s)

    def _check(self) -> None:
        if self.is_away:
            raise SequencerUnavailable("away")


def test_ids_rise_strictly_over_busy_threads(snowflakes: Snowflakes) -> None:
    """Six threads at a switch interval of 1 µs: none twice, and rising in each."""
    next_id = snowflakes.sequence(NAME).next_id
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            taken = list(pool.map(lambda _: [next_id() for _ in range(EACH)], range(THREADS)))
    finally:
        sys.setswitchinterval(interval)

    assert len({id_ for ids in taken for id_ in ids}) == THREADS * EACH
    assert all(low < high for ids in taken for low, high in pairwise(ids))


def test_blocks_and_single_ids_mix_over_threads(snowflakes: Snowflakes) -> None:
    """Whoever takes ranges beside those who take ids shares none with them."""
    sequence = snowflakes.sequence(NAME)

    def work(number: int) -> list[int]:
        if number % 2:
            return [id_ for _ in range(200) for ids in sequence.next_ids(50) for id_ in ids]
        return [sequence.next_id() for _ in range(10_000)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            taken = list(pool.map(work, range(THREADS)))
    finally:
        sys.setswitchinterval(interval)

    assert len({id_ for ids in taken for id_ in ids}) == THREADS * 10_000
    assert all(low < high for ids in taken for low, high in pairwise(ids))


def test_a_tick_that_is_used_up_waits_for_the_next(snowflakes: Snowflakes) -> None:
    """More ids than a tick has come from the following ticks; none is None, none spills over."""
    sequence = snowflakes.sequence(NAME)

    ids = [id_ for block in sequence.next_ids(20 * 4_096) for id_ in block]

    assert len(set(ids)) == 20 * 4_096
    assert {Layout().decode(id_).worker_id for id_ in ids} == {0}
    assert ids == sorted(ids)


async def test_a_task_waits_without_blocking_its_loop(snowflakes: Snowflakes) -> None:
    """From cold and past the layout's limit: the loop goes on while ids are waited for."""
    sequence = snowflakes.sequence(NAME)
    with pytest.raises(SequenceEmpty):
        sequence.next_id()

    first = await sequence.next_id_async()
    many, other = await asyncio.gather(
        sequence.next_ids_async(30 * 4_096), sequence.next_ids_async(10)
    )

    ids = [id_ for block in (*many, *other) for id_ in block]
    assert len({first, *ids}) == 30 * 4_096 + 11
    assert sequence.stats().workers == 1


def test_idle_ids_are_of_now_not_of_then() -> None:
    """What was left of a tick is not used later: ids of processes stay in the order of time."""
    wall = Wall()
    source = LocalWorkerSource(wall)
    source.create(NAME, Layout())
    client = Client(source)
    client.tend()
    client.take(1)
    client.clock.step(5)

    (later,) = client.take(1)

    assert Layout().decode(later).tick == Layout().tick_at(wall()) + 5_000


def test_the_end_of_the_window_stops_the_ids() -> None:
    """Un-renewed, the worker is lost: WorkerLost, until the source is back."""
    source = Away(wall := Wall())
    source.create(NAME, Layout())
    client = Client(source)
    client.tend()
    source.is_away = True
    client.clock.step(90)
    wall.step(90)

    with pytest.raises(WorkerLost, match="ended"):
        client.minter.next_id()
    with pytest.raises(SequencerUnavailable):
        client.tend()
    assert client.asked == 1

    source.is_away = False
    client.tend()
    assert client.take(1)


def test_a_worker_that_another_has_is_replaced() -> None:
    """Somebody else took the worker id after its window: this process goes on with another."""
    source = LocalWorkerSource(wall := Wall())
    source.create(NAME, Layout())
    slow, other = Client(source, "slow"), Client(source, "other")
    slow.tend()
    (before,) = slow.take(1)
    wall.step(91)
    other.tend()
    slow.clock.step(91)
    slow.tend()

    (theirs,), (mine,) = other.take(1), slow.take(1)

    decoded = [Layout().decode(id_).worker_id for id_ in (before, theirs, mine)]
    assert decoded == [0, 0, 1]
    assert before < mine


def test_losing_a_worker_empties_the_live_iterator() -> None:
    """A bound `next_id` makes no more ids of a worker that somebody else may hold."""
    source = LocalWorkerSource(Wall())
    source.create(NAME, Layout())
    client = Client(source)
    next_id = client.minter.next_id
    client.tend()
    next_id()

    client.minter.lose(WorkerLost("taken"))

    with pytest.raises(WorkerLost, match="taken"):
        next_id()


def test_a_refusal_is_told_at_once() -> None:
    """Nobody waits for what trying again does not change."""
    refused = Snowflakes(LocalWorkerSource(), client_id="a", timeout_s=60)
    with pytest.raises(SequenceNotFound):
        refused.sequence("no.such").next_id()
    refused.close()


def test_closing_gives_the_rest_of_the_window_to_others() -> None:
    """The next process may have the same worker id at once, with later ticks."""
    source = LocalWorkerSource()
    first = Snowflakes(source, client_id="a", create_missing=True)
    ids = [first.sequence(NAME).next_id()]
    first.close()
    with pytest.raises(SequencerError, match="closed"):
        first.sequence(NAME)

    second = Snowflakes(source, client_id="b", timeout_s=30)
    ids.append(second.sequence(NAME).next_id())
    stats = second.sequence(NAME).stats()
    second.close()

    assert stats.worker_id == 0
    assert ids == sorted(set(ids))


def test_a_closed_sequence_makes_no_ids(snowflakes: Snowflakes) -> None:
    """A method bound before raises; it does not end silently, nor with StopIteration."""
    next_id = snowflakes.sequence(NAME).next_id
    next_id()
    snowflakes.close()

    with pytest.raises(SequencerError, match="closed"):
        next_id()


async def test_a_task_is_told_that_the_worker_is_lost() -> None:
    """On a loop, too, waiting ends after `timeout_s`, with the reason."""
    source = Away()
    source.create(NAME, Layout())
    source.is_away = True
    snowflakes = Snowflakes(source, client_id="a", timeout_s=0.05)
    with pytest.raises(SequencerUnavailable, match="away"):
        await snowflakes.sequence(NAME).next_id_async()
    source.is_away = False

    ids: list[int] = []
    for _ in range(200):  # its thread pauses between attempts
        with suppress(SequencerUnavailable):
            ids.append(await snowflakes.sequence(NAME).next_id_async())
            break
    assert ids
    await asyncio.to_thread(snowflakes.close)


@pytest.mark.parametrize("count", [-1, 2**32 + 1])
def test_an_absurd_count_is_refused(snowflakes: Snowflakes, count: int) -> None:
    """As with other sequences."""
    with pytest.raises(ValueError, match="between"):
        snowflakes.sequence(NAME).next_ids(count)
