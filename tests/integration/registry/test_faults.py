"""Calls go on whatever happens to the registry."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from engine.mesh.v1 import trust_pb2
from engine.mesh.v1.trust_pb2_grpc import TrustServiceStub
from mesh.app import host_id
from mesh.channel import Channel, registered
from mesh.registry import Registry
from mesh.registry.client import Patience
from mesh.testing import Link, Mesh
from tests.integration.registry.running import RunningRegistry, until
from tests.integration.registry.toy import Keys, instance

BRIEF = Patience(keepalive_s=0.1, silent_s=1.0, start_s=1.0)
Fault = Callable[[RunningRegistry, Link], Awaitable[None]]


async def stopped(registry: RunningRegistry, link: Link) -> None:
    await registry.stop()


async def cut(registry: RunningRegistry, link: Link) -> None:
    link.cut()


async def half_open(registry: RunningRegistry, link: Link) -> None:
    link.half_open()


async def wiped(registry: RunningRegistry, link: Link) -> None:
    await registry.stop()
    await registry.start()


class Caller:
    """Calls a service all the time, and counts who answered."""

    def __init__(self, registry: Registry) -> None:
        endpoints = registered(registry, "customer", host_id())
        self._channel = Channel("customer", endpoints)
        self.seen: Counter[str] = Counter()

    async def run(self) -> None:
        stub = TrustServiceStub(self._channel)
        async with self._channel:
            while True:
                try:
                    answer = await stub.GetKeySet(trust_pb2.GetKeySetRequest(), timeout=5)
                except grpc.aio.AioRpcError as error:
                    self.seen[f"{error.code().name}: {error.details()}"] += 1
                else:
                    self.seen[answer.keys[0].kid] += 1
                await asyncio.sleep(0.001)

    async def goes_on(self, calls: int = 100) -> None:
        """Return after so many further calls."""
        enough = self.seen.total() + calls
        await until(lambda: self.seen.total() >= enough)


@asynccontextmanager
async def calling(registry: Registry) -> AsyncIterator[Caller]:
    """Somebody who calls while the block runs, once there is an instance."""
    await until(lambda: len(registry.lookup("customer")) > 0)
    caller = Caller(registry)
    task = asyncio.ensure_future(caller.run())
    try:
        yield caller
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("fault", [stopped, cut, half_open, wiped])
async def test_no_call_fails_while_the_registry_is_away_and_when_it_is_back(
    mesh: Mesh, registry: RunningRegistry, fault: Fault
) -> None:
    """What changes meanwhile is known soon after: a new instance gets calls then."""
    async with (
        Link(registry.address) as link,
        registry.client("customer", link.address, patience=BRIEF) as customer,
        registry.client("action", link.address, patience=BRIEF) as action,
        instance(mesh, Keys("a"), customer),
        calling(action) as caller,
    ):
        await caller.goes_on()
        await fault(registry, link)
        await caller.goes_on()
        await until(lambda: fault is wiped or not action.is_connected)
        async with instance(mesh, Keys("b"), customer, replica=2):
            await caller.goes_on()
            link.mend()
            if fault is stopped:
                await registry.start()
            await until(lambda: caller.seen["b"] > 0)
            await caller.goes_on()
        await caller.goes_on()
        assert caller.seen.keys() == {"a", "b"}
