"""What is left of a service's work when three times as much is asked of it as it can do.

Calls have a second. Callers behave as the mesh lets them: a retry budget, and breakers; the
service refuses what it has no time for. Only answers that come in time count.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import grpc

from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from loadtests.bench._figure import Direction, Figure
from loadtests.bench.discovery_stage import Stage
from loadtests.bench.mesh_load import closed_loop, open_loop
from loadtests.bench.servers import REQUEST
from mesh.channel import Channel

if TYPE_CHECKING:
    from loadtests.bench import Run

CALLERS: Final = 64
TIMES: Final = 3
BAR: Final = 0.9
TIMEOUT_S: Final = 1.0
SETTLING_S, MEASURED_S, QUICK_S = 2.0, 4.0, 2.0
"""Both sides take a while to find their measure; then it is counted."""


def overload_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    with stage.running("busy") as served:
        found = stage.run(_measured(run, stage, served["pid"]))
    ratios, capacity, codes = found
    yield run.judged(
        f"goodput at {TIMES} × overload ÷ at capacity",
        ratios,
        unit="×",
        bar=BAR,
        direction=Direction.AT_LEAST,
    )
    yield run.report("… capacity", capacity, "/s")
    total = sum(codes.values())
    for code, count in codes.most_common():
        yield run.report(f"… calls that ended with {code}", 100 * count / total, "%")


async def _measured(run: Run, stage: Stage, pid: int) -> tuple[list[float], float, Counter[str]]:
    """Each pair's goodput ÷ capacity, the last capacity, and how all calls ended."""
    ratios, capacity, codes = [], 0.0, Counter[str]()
    async with stage.registry() as registry:
        for _ in range(run.pairs):
            async with stage.by_registry(registry) as channel:
                flow = await closed_loop(_call(channel), pid, callers=CALLERS, seconds=2.0)
            capacity = flow.rate
            async with stage.by_registry(registry) as channel:  # whose breakers know nothing yet
                goodput = await _overloaded(channel, TIMES * capacity, codes, quick=run.quick)
            ratios.append(goodput / capacity)
            await asyncio.sleep(SETTLING_S)  # the service still refuses calls for a while
    return ratios, capacity, codes


async def _overloaded(channel: Channel, rate: float, codes: Counter[str], *, quick: bool) -> float:
    """Calls a second that were answered in time, once it has settled."""
    seconds = QUICK_S if quick else MEASURED_S
    begin = perf_counter() + SETTLING_S
    end, good, call = begin + seconds, 0, _call(channel)

    async def one() -> None:
        nonlocal good
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            codes[error.code().name] += 1
            return
        codes["OK"] += 1
        good += begin <= perf_counter() < end

    await open_loop([one], rate=rate, seconds=SETTLING_S + seconds)
    return good / seconds


def _call(channel: Channel) -> Any:
    stub: Any = CustomerServiceStub(channel)
    return lambda: stub.GetCustomer(REQUEST, timeout=TIMEOUT_S)
