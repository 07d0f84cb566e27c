"""Suite `mesh`: unary calls through the mesh against plain grpc.aio.

Same servicer, same payload, same callers; each server in a process of its own. The peer is
grpc.aio on uvloop with no interceptors. The mesh does all its work: identity, policy,
validation, scope, deadline, telemetry (unsampled).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

import grpc
import uvloop

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from loadtests.bench import Figure, Run
from loadtests.bench.servers import cpu_s, started
from mesh.channel import Channel, bearer

PEER = "grpc.aio on uvloop, no interceptors"
CALLERS = 64
REQUEST = customer_pb2.GetCustomerRequest(customer_id=7)


def figures(run: Run) -> Iterator[Figure]:
    """Rate, latency and CPU of unary calls."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        plain = stack.enter_context(started("plain"))
        mesh = stack.enter_context(started("mesh"))
        channels = runner.run(_channels(plain["address"], mesh["address"], mesh["token"]))
        for channel in channels.values():
            stack.callback(lambda c: runner.run(c.close()), channel)
        pids = {"plain": plain["pid"], "mesh": mesh["pid"]}

        def measured(kind: str, what: Callable[[Any, float], Any]) -> Callable[[], float]:
            stub = customer_pb2_grpc.CustomerServiceStub(channels[kind])
            return lambda: float(runner.run(what(stub, run.stretch_s)))

        yield run.ratio(
            f"unary calls/s ÷ plain, {CALLERS} callers, full chain",
            measured("mesh", _rate),
            measured("plain", _rate),
            against=PEER,
        )
        yield run.ratio(
            "one caller, median latency ÷ plain",
            measured("mesh", _latency),
            measured("plain", _latency),
            against=PEER,
        )
        for kind, pid in pids.items():
            cost = measured(kind, partial(_cpu_us, pid))
            yield run.report(f"CPU a call, both sides, {kind}", cost(), "µs")
        yield run.report("calls/s, mesh", measured("mesh", _rate)(), "/s")


async def _channels(plain: str, mesh: str, token: str) -> dict[str, Any]:
    return {
        "plain": grpc.aio.insecure_channel(plain),
        "mesh": Channel("customer", lambda: [mesh], bearer(token)),
    }


async def _rate(stub: Any, seconds: float) -> float:
    """Calls a second with `CALLERS` callers, each waiting for its answer."""
    began = time.perf_counter()
    counts = await asyncio.gather(*(_call_until(stub, began + seconds) for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - began)


async def _call_until(stub: Any, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        await stub.GetCustomer(REQUEST, timeout=5)
        count += 1
    return count


async def _latency(stub: Any, seconds: float) -> float:
    """Median seconds of a call with one caller."""
    end, times = time.perf_counter() + seconds, []
    while (began := time.perf_counter()) < end:
        await stub.GetCustomer(REQUEST, timeout=5)
        times.append(time.perf_counter() - began)
    return median(times)


async def _cpu_us(pid: int, stub: Any, seconds: float) -> float:
    """Processor time of both sides for one call, in microseconds."""
    before = time.process_time() + cpu_s(pid)
    began = time.perf_counter()
    counts = await asyncio.gather(*(_call_until(stub, began + seconds) for _ in range(CALLERS)))
    return (time.process_time() + cpu_s(pid) - before) / sum(counts) * 1e6
