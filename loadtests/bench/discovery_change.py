"""How soon those who watch call an instance that is new."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from loadtests.bench._figure import Direction, Figure
from loadtests.bench.discovery_stage import SERVICE, Stage
from loadtests.bench.mesh_load import p99
from loadtests.bench.servers import REQUEST
from mesh.channel import Channel
from mesh.host import host_id
from mesh.registry import Entry
from mesh.registry.client import LeaseRegistry

if TYPE_CHECKING:
    from loadtests.bench import Run

INSTANCES: Final = 200
WATCHERS: Final = 50
ROUNDS, QUICK_ROUNDS = 20, 6
BAR_MS: Final = 100.0
LOOK_S: Final = 0.002
"""Watchers call all the time: so often they look whom they would call."""
TIMEOUT_S: Final = 10.0

Watchers = dict[LeaseRegistry, Channel]
"""Each with a channel that calls whom it knows."""


def change_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    with stage.running("doors") as doors:
        lanes = doors["lanes"][: QUICK_ROUNDS if run.quick else ROUNDS]
        took = stage.run(_measured(stage, doors["address"], lanes))
    slowest = [p99(of_one) * 1e3 for of_one in took]
    yield run.judged(
        f"change → first call on it, p99 of {WATCHERS} watchers, {INSTANCES} instances",
        slowest,
        unit="ms",
        bar=BAR_MS,
        direction=Direction.AT_MOST,
    )
    yield run.report("… median", median(s for of_one in took for s in of_one) * 1e3, "ms")


async def _measured(stage: Stage, address: str, lanes: list[str]) -> list[list[float]]:
    """Seconds of each watcher, for each change."""
    async with _watchers(stage) as watchers, stage.registry(SERVICE) as registrar:
        for number in range(INSTANCES - 1):
            await registrar.register(_entry(f"old {number}", f"127.0.0.1:{number + 1}", "", 1))
        await _until_known(watchers)
        return [
            await _one_change(registrar, watchers, _entry(f"new {number}", address, lane, 0))
            for number, lane in enumerate(lanes)
        ]


async def _one_change(registrar: LeaseRegistry, watchers: Watchers, entry: Entry) -> list[float]:
    """A new instance, which all prefer, comes and goes."""
    began = perf_counter()
    calling = [
        asyncio.ensure_future(_first_call(channel, entry, began)) for channel in watchers.values()
    ]
    await registrar.register(entry)
    took = await asyncio.gather(*calling)
    await registrar.withdraw(entry)
    await _until_known(watchers)
    return took


async def _first_call(channel: Channel, entry: Entry, began: float) -> float:
    async with asyncio.timeout(TIMEOUT_S):
        while not _is_at(channel.choose(), entry):  # noqa: ASYNC110 - callers look, none is told
            await asyncio.sleep(LOOK_S)
        stub: Any = CustomerServiceStub(channel)
        await stub.GetCustomer(REQUEST, timeout=TIMEOUT_S)
    return perf_counter() - began


def _is_at(peer: Any, entry: Entry) -> bool:
    return peer is not None and peer.endpoint.lanes == entry.lanes


async def _until_known(watchers: Watchers) -> None:
    """Return once all know the old instances and no other."""
    async with asyncio.timeout(TIMEOUT_S):
        for registry in watchers:
            while len(registry.lookup(SERVICE)) != INSTANCES - 1:  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def _watchers(stage: Stage) -> AsyncIterator[Watchers]:
    async with AsyncExitStack() as stack:
        watchers: Watchers = {}
        for _ in range(WATCHERS):
            registry = await stack.enter_async_context(stage.registry())
            watchers[registry] = await stack.enter_async_context(stage.by_registry(registry))
        yield watchers


def _entry(instance: str, address: str, lane: str, priority: int) -> Entry:
    return Entry(
        service=SERVICE,
        instance=instance.replace(" ", "-"),
        address=address,
        socket="",
        host_id=host_id(),
        pid=os.getpid(),
        version="1",
        lanes=(lane,) if lane else (),
        priority=priority,
    )
