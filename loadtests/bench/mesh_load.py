"""How calls are made: by callers who each wait for the answer, or at fixed times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter
from typing import Final

from loadtests.bench.servers import cpu_s

Call = Callable[[], Awaitable[object]]
"""Makes one call; awaited for its answer."""

LAST_S: Final = 60.0
"""How long after the last scheduled time the answers may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What one stretch of callers came to: calls a second, and CPU µs a call of both sides."""

    rate: float
    cpu_us: float


async def closed_loop(call: Call, pid: int, *, callers: int, seconds: float) -> Flow:
    """Callers that call again as soon as they were answered, at least once; `pid` is the server."""
    spent, began = time.process_time() + cpu_s(pid), perf_counter()
    counts = await asyncio.gather(*(_until(call, began + seconds) for _ in range(callers)))
    took, calls = perf_counter() - began, sum(counts)
    used = time.process_time() + cpu_s(pid) - spent
    return Flow(rate=calls / took, cpu_us=used / calls * 1e6)


async def _until(call: Call, end: float) -> int:
    await call()
    count = 1
    while perf_counter() < end:
        await call()
        count += 1
    return count


async def one_by_one(call: Call, seconds: float) -> list[float]:
    """Seconds of each call of one caller."""
    end, took = perf_counter() + seconds, []
    while (began := perf_counter()) < end:
        await call()
        took.append(perf_counter() - began)
    return took


async def open_loop(calls: Sequence[Call], *, rate: float, seconds: float) -> list[float]:
    """Seconds of calls begun at fixed times, in turn over `calls`, whatever becomes of them.

    The clock of each runs from its scheduled time: who waits for his turn is late as well.
    A thread keeps the times, since the loop's own timers know whole milliseconds only.
    """
    loop, took = asyncio.get_running_loop(), list[float]()

    async def one(call: Call, due: float) -> None:
        await call()
        took.append(perf_counter() - due)

    async with asyncio.timeout(seconds + LAST_S), asyncio.TaskGroup() as group:

        def begin(place: int, due: float) -> None:
            group.create_task(one(calls[place % len(calls)], due))

        def at(place: int, due: float) -> None:
            loop.call_soon_threadsafe(begin, place, due)

        await asyncio.to_thread(_keep_time, at, rate, round(rate * seconds))
    return took


def _keep_time(at: Callable[[int, float], object], rate: float, count: int) -> None:
    began = perf_counter()
    for place in range(count):
        due = began + place / rate
        if (wait := due - perf_counter()) > 0:
            time.sleep(wait)
        at(place, due)


def p99(took: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(took, n=100, method="inclusive")[98]
