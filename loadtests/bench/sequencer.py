"""Ids from the SDK against what Python itself can do.

The source answers from memory: what is measured is the client's side, which is
all that runs for an id. Both sides of a pair are bound to local names.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count, repeat
from typing import TYPE_CHECKING

from sequencer.sdk import LocalRangeSource, Sequencer

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run
    from sequencer.sdk import Sequence

BATCH = 100_000
BLOCK = 1_000
THREADS = 4


def figures(run: Run) -> Iterator[Figure]:
    """The figures of this suite."""
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        sequence = sequencer.sequence("bench.ids")
        sequence.next_id()
        yield run.ratio(
            "SDK next_id(), one thread ÷ itertools.count().__next__",
            lambda: _called(run, sequence.next_id),
            lambda: _called(run, count().__next__),
            against="itertools.count().__next__",
            bar=0.6,
            direction=">=",
        )
        yield run.ratio(
            "SDK sequence.next_id() by attribute",
            lambda: run.rate(lambda: _by_attribute(sequence)),
            lambda: _called(run, count().__next__),
            against="itertools.count().__next__",
        )
        yield run.ratio(
            f"SDK next_id(), {THREADS} threads together ÷ one thread",
            lambda: _threads(run, sequence.next_id),
            lambda: _called(run, sequence.next_id),
            against="one thread",
        )
        yield run.ratio(
            f"SDK next_ids({BLOCK}), each id used",
            lambda: run.rate(lambda: _consume(chain.from_iterable(sequence.next_ids(BLOCK)))),
            lambda: run.rate(lambda: _consume(list(range(BLOCK)))),
            against=f"list(range({BLOCK}))",
        )
        yield run.ratio(
            "await SDK next_id_async()",
            lambda: asyncio.run(_awaited(run, sequence.next_id_async)),
            lambda: asyncio.run(_awaited(run, _trivial)),
            against="await of a trivial coroutine",
        )
        yield run.report(
            "SDK next_id(), one thread", _called(run, sequence.next_id) / 1e6, "M ids/s"
        )


def _called(run: Run, function: Callable[[], int]) -> float:
    """Calls a second."""

    def batch() -> int:
        bound = function
        for _ in repeat(None, BATCH):
            bound()
        return BATCH

    return run.rate(batch)


def _by_attribute(sequence: Sequence) -> int:
    for _ in repeat(None, BATCH):
        sequence.next_id()
    return BATCH


def _threads(run: Run, function: Callable[[], int]) -> float:
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(lambda _: _called(run, function), range(THREADS)))


def _consume(ids: Iterator[int] | list[int]) -> int:
    deque(ids, maxlen=0)
    return BLOCK


async def _trivial() -> int:
    return 1


async def _awaited(run: Run, function: Callable[[], Awaitable[int]]) -> float:
    """Awaits a second."""
    done, began = 0, asyncio.get_running_loop().time()
    while (took := asyncio.get_running_loop().time() - began) < run.stretch_s:
        for _ in repeat(None, BATCH // 10):
            await function()
        done += BATCH // 10
    return done / took
