"""Ids from the SDK in one process, against what Python itself and other libraries can do.

The source answers from memory, after 20 ms where a store is meant: what is measured
is the client's side, which is all that runs for an id. Callables are bound to local
names, but for the figure that says otherwise.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count, repeat
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import uuid_utils
from sonyflake_turbo import SonyFlake

from loadtests.bench._figure import Direction
from sequencer.sdk import Lease, LeaseRequest, LocalRangeSource, Sequencer

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run
    from sequencer.sdk import Sequence

BATCH: Final = 100_000
BLOCK: Final = 1_000
THREADS: Final = 4
STORE_S: Final = 0.020
CALLS_A_SECOND: Final = 2_000_000
SLICES: Final = 10
"""Calls of which each is timed, for a second of measuring."""

SEQUENCES: Final = 10_000
MACHINES: Final = 4_096
"""Machine ids that sonyflake-turbo is given: with fewer it runs out of ids and sleeps."""

NAME: Final = "bench.ids"
COUNT: Final = "itertools.count().__next__"

MEMORY: Final = """
import gc, time
from loadtests.bench.sequencer_client import SEQUENCES, Endless, resident
from sequencer.sdk import Sequencer

with Sequencer(Endless(), timeout_s=60) as sequencer:
    sequencer.sequence("warm").next_id()
    names = [f"many.s{number}" for number in range(SEQUENCES)]
    gc.collect()
    before = resident()
    for name in names:
        sequencer.sequence(name).next_id()
    gc.collect()
    print((resident() - before) / SEQUENCES)
"""


class Store(LocalRangeSource):
    """Answers as a store 20 ms away does."""

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        time.sleep(STORE_S)
        return super().lease(request, timeout_s=timeout_s)


class Endless(LocalRangeSource):
    """Keeps nothing itself, so that a client's own memory is what is seen."""

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:  # noqa: ARG002
        number, position = (request.last.number, request.last.position) if request.last else (0, 0)
        return Lease(
            number=number + 1,
            position=position + request.size,
            first=position + 1,
            size=request.size,
        )


def figures(run: Run) -> Iterator[Figure]:
    """What one process does."""
    with _sequence(LocalRangeSource()) as sequence:
        yield from _single(run, sequence)
        yield from _blocks(run, sequence)
        yield from _awaits(run, sequence)
        yield from _peers(run, sequence)
    with _sequence(Store()) as sequence:
        yield from _far_store(run, sequence)
    yield _cold(run)
    yield _memory(run)


def _single(run: Run, sequence: Sequence) -> Iterator[Figure]:
    name = "SDK next_id(), one thread"
    one = _Kept(lambda: _called(run, sequence.next_id))
    yield run.ratio(
        f"{name} ÷ {COUNT}",
        one,
        lambda: _called(run, count().__next__),
        against=COUNT,
        bar=0.85,
        direction=">=",
    )
    yield one.report(run, name)
    attribute = _Kept(lambda: run.rate(lambda: _by_attribute(sequence)))
    yield run.ratio(
        f"SDK sequence.next_id() by attribute ÷ {COUNT}",
        attribute,
        lambda: _called(run, count().__next__),
        against=COUNT,
    )
    yield attribute.report(run, "SDK sequence.next_id() by attribute")
    threads = _Kept(lambda: _threads(run, sequence.next_id))
    yield run.ratio(
        f"SDK next_id(), {THREADS} threads together ÷ one thread",
        threads,
        lambda: _called(run, sequence.next_id),
        against="one thread",
        bar=0.9,
        direction=">=",
    )
    yield threads.report(run, f"SDK next_id(), {THREADS} threads together")


def _blocks(run: Run, sequence: Sequence) -> Iterator[Figure]:
    name = f"SDK next_ids({BLOCK}), consumed one by one"
    used = _Kept(lambda: run.rate(lambda: _consumed(sequence.next_ids)))
    yield run.ratio(
        f"{name} ÷ list(range({BLOCK}))",
        used,
        lambda: run.rate(lambda: _consumed(_listed)),
        against=f"list(range({BLOCK}))",
        bar=0.85,
        direction=">=",
    )
    yield used.report(run, name)
    yield run.absolute(
        f"SDK next_ids({BLOCK}), hand-over itself",
        lambda: run.rate(lambda: _handed_over(sequence.next_ids)) / 1e6,
        unit="M ids/s",
        bar=1_000,
        direction=Direction.AT_LEAST,
    )


def _awaits(run: Run, sequence: Sequence) -> Iterator[Figure]:
    name = "await SDK next_id_async()"
    awaited = _Kept(lambda: asyncio.run(_awaited(run, sequence.next_id_async)))
    yield run.ratio(
        f"{name} ÷ await of a trivial coroutine",
        awaited,
        lambda: asyncio.run(_awaited(run, _trivial)),
        against="await of a trivial coroutine",
        bar=0.7,
        direction=">=",
    )
    yield awaited.report(run, name)


def _peers(run: Run, sequence: Sequence) -> Iterator[Figure]:
    flakes = SonyFlake(*range(MACHINES))
    peers: dict[str, Callable[[], object]] = {
        f"sonyflake-turbo ({MACHINES} machine ids)": flakes.__next__,
        "uuid-utils uuid7": uuid_utils.uuid7,
    }
    for name, call in peers.items():
        peer = _Kept(lambda call=call: _called(run, call))  # type: ignore[misc]
        yield run.ratio(
            f"SDK next_id() ÷ {name}",
            lambda: _called(run, sequence.next_id),
            peer,
            against=name,
            bar=1.8,
            direction=">=",
        )
        yield peer.report(run, name)


def _far_store(run: Run, sequence: Sequence) -> Iterator[Figure]:
    """The store answers in 20 ms; sizes of leases are the SDK's own affair."""
    name = "SDK next_id(), store at 20 ms"
    _called(run, sequence.next_id)  # from cold somebody has to wait
    waits = sequence.stats().waits
    far = _Kept(lambda: _called(run, sequence.next_id))
    yield run.ratio(
        f"{name} ÷ {COUNT}",
        far,
        lambda: _called(run, count().__next__),
        against=COUNT,
        bar=0.8,
        direction=">=",
    )
    yield far.report(run, name)
    yield from _latencies(run, name, sequence.next_id)
    yield run.judged(
        f"{name}, calls that raised or blocked",
        [sequence.stats().waits - waits] * 2,
        unit="calls",
        bar=0,
        direction=Direction.AT_MOST,
        note=f"{sequence.stats().leases} leases",
    )


def _latencies(run: Run, name: str, next_id: Callable[[], int]) -> Iterator[Figure]:
    """Tails of the time that a call takes, each pair against the same loop over count()."""
    calls = max(BATCH, int(CALLS_A_SECOND * run.stretch_s))
    _tails(next_id, calls)
    pairs, speeds = [], []
    for _ in range(run.pairs):
        pairs.append(_tails(next_id, calls))
        speeds.append(run.calibration().value)
    for which, bar, index in (("p99.99", 2.0, 0), ("max", 3.0, 1)):
        ours, theirs = (median(side[index] for side in sides) for sides in zip(*pairs, strict=True))
        yield run.judged(
            f"{name}, {which} of a call ÷ {COUNT}",
            [mine[index] / peer[index] for mine, peer in pairs],
            unit="×",
            bar=bar,
            direction=Direction.AT_MOST,
            moved=(max(speeds) - min(speeds)) / median(speeds),
            note=f"{ours / 1e3:.1f} µs ÷ {theirs / 1e3:.1f} µs",
        )


def _cold(run: Run) -> Figure:
    def first() -> float:
        source = Store()
        source.create(NAME)
        began = time.perf_counter()
        with Sequencer(source) as sequencer:
            sequencer.sequence(NAME).next_id()
            return (time.perf_counter() - began) * 1e3

    return run.absolute(
        "SDK first id from cold, store at 20 ms",
        first,
        unit="ms",
        bar=60,
        direction=Direction.AT_MOST,
    )


def _memory(run: Run) -> Figure:
    def measured() -> float:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
        )
        return float(done.stdout) / 1024

    return run.judged(
        f"SDK memory a sequence, {SEQUENCES} in use",
        [measured() for _ in range(2 if run.quick else 3)],
        unit="KB",
        bar=4.0,
        direction=Direction.AT_MOST,
    )


class _Kept:
    """A stretch whose rates are kept, to be shown beside their ratio."""

    def __init__(self, stretch: Callable[[], float]) -> None:
        self._stretch = stretch
        self._rates: list[float] = []

    def __call__(self) -> float:
        self._rates.append(self._stretch())
        return self._rates[-1]

    def report(self, run: Run, name: str) -> Figure:
        """The absolute figure."""
        return run.report(f"{name}, absolute", median(self._rates) / 1e6, "M ids/s")


@contextmanager
def _sequence(source: LocalRangeSource) -> Iterator[Sequence]:
    with Sequencer(source, create_missing=True, timeout_s=60) as sequencer:
        sequence = sequencer.sequence(NAME)
        sequence.next_id()
        yield sequence


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _called(run: Run, function: Callable[[], object]) -> float:
    """Calls a second."""
    return run.rate(lambda: _batch(function))


def _batch(function: Callable[[], object]) -> int:
    for _ in repeat(None, BATCH):
        function()
    return BATCH


def _by_attribute(sequence: Sequence) -> int:
    for _ in repeat(None, BATCH):
        sequence.next_id()
    return BATCH


def _threads(run: Run, function: Callable[[], object]) -> float:
    """Calls a second of threads that begin together, over the time until the last has ended."""
    done, together = [0] * THREADS, threading.Barrier(THREADS + 1)

    def work(number: int) -> None:
        together.wait()
        end = time.perf_counter() + run.stretch_s
        while time.perf_counter() < end:
            done[number] += _batch(function)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    together.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def _consumed(take: Callable[[int], list[range]] | Callable[[int], list[list[int]]]) -> int:
    for _ in repeat(None, BATCH // BLOCK):
        for ids in take(BLOCK):
            for _ in ids:
                pass
    return BATCH


def _listed(size: int) -> list[list[int]]:
    return [list(range(size))]


def _handed_over(take: Callable[[int], list[range]]) -> int:
    for _ in repeat(None, BATCH):
        take(BLOCK)
    return BATCH * BLOCK


def _tails(function: Callable[[], int], calls: int) -> tuple[tuple[float, float], ...]:
    """The 99.99th percentile and the longest of so many calls, in ns: of a function, of count().

    They are called in slices by turns, so that what the machine does meanwhile meets both.
    """
    sides: list[tuple[Callable[[], int], list[npt.NDArray[np.int64]]]]
    sides = [(function, []), (count().__next__, [])]
    for _ in range(SLICES):
        for called, times in sides:
            times.append(_timed(called, calls // SLICES))
    both = (np.concatenate(times) for _, times in sides)
    return tuple((float(np.quantile(times, 0.9999)), float(times.max())) for times in both)


def _timed(function: Callable[[], object], calls: int) -> npt.NDArray[np.int64]:
    """What each of so many calls takes, in ns."""
    clock, took = time.perf_counter_ns, array("q", bytes(8 * calls))
    for number in range(calls):
        began = clock()
        function()
        took[number] = clock() - began
    return np.frombuffer(took, dtype=np.int64)


async def _trivial() -> int:
    return 1


async def _awaited(run: Run, function: Callable[[], Awaitable[int]]) -> float:
    """Awaits a second."""
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < run.stretch_s:
        for _ in repeat(None, BATCH):
            await function()
        done += BATCH
    return done / took
