"""One table, two readers: the mesh's own channel and a stock client choose alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from engine.mesh.v1 import trust_pb2
from engine.mesh.v1.trust_pb2_grpc import TrustServiceStub
from mesh.app import App, host_id
from mesh.channel import Channel, registered
from mesh.registry import HeaderRule, Route, Split
from mesh.testing import Mesh
from tests.integration.registry.running import RunningRegistry, until
from tests.integration.registry.stock import StockClient, stock_client
from tests.integration.registry.toy import Keys, instance

CALLS = 200
CANARY = HeaderRule(header="x-canary", value="1", version="2")


@dataclass(frozen=True)
class Reader:
    """Calls by both ways."""

    own: Any
    stock: StockClient

    async def own_calls(self, times: int, *headers: str) -> Counter[str]:
        pairs = [tuple(header.split("=")) for header in headers]
        request, seen = trust_pb2.GetKeySetRequest(), Counter[str]()
        for _ in range(times):
            answer = await self.own.GetKeySet(request, timeout=10, metadata=pairs)
            seen[answer.keys[0].kid] += 1
        return seen

    async def agree(self, names: set[str], *headers: str) -> None:
        """Both call these alone. The own channel may prefer one of several that are alike."""
        await self.stock.until(lambda seen: seen.keys() == names, *headers, times=40)
        while not (await self.own_calls(40, *headers)).keys() <= names:
            pass
        assert (await self.own_calls(CALLS, *headers)).keys() <= names
        assert (await self.stock.call(CALLS, *headers)).keys() == names

    async def agree_on_shares(self, shares: dict[str, float]) -> None:
        """Both spread calls so, by and large."""
        await self.agree({*shares})
        for seen in (await self.own_calls(CALLS), Counter(await self.stock.call(CALLS))):
            assert seen.keys() == shares.keys()
            for name, share in shares.items():
                assert abs(seen[name] / CALLS - share) < 0.2, (seen, shares)


@dataclass
class Fleet:
    """Three instances: two of version 1, of which one is far away, and one of version 2."""

    operator: Any
    apps: dict[str, App]
    reader: Reader

    async def route(self, *rules: HeaderRule, **shares: int) -> None:
        splits = tuple(Split(version=name[1:], weight=share) for name, share in shares.items())
        await self.operator.set_route(Route(service="customer", rules=rules, splits=splits))


@pytest.fixture
async def fleet(mesh: Mesh, registry: RunningRegistry) -> AsyncIterator[Fleet]:
    entries: dict[str, dict[str, Any]] = {
        "old": {"version": "1"},
        "new": {"version": "2"},
        "far": {"version": "1", "priority": 5},
    }
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        operator = await enter(registry.client("operator"))
        customer = await enter(registry.client("customer"))
        action = await enter(registry.client("action"))
        apps = {
            name: await enter(instance(mesh, Keys(name), customer, replica=number, **entry))
            for number, (name, entry) in enumerate(entries.items(), start=1)
        }
        await until(lambda: len(action.lookup("customer")) == 3)
        channel = await enter(Channel("customer", registered(action, "customer", host_id())))
        stock = await enter(stock_client(registry.address))
        yield Fleet(operator, apps, Reader(TrustServiceStub(channel), stock))


async def test_both_readers_spread_calls_alike(fleet: Fleet) -> None:
    """Priority, shares, headers, a version without an instance, drain."""
    reader = fleet.reader
    await reader.agree({"old", "new"})
    await fleet.route(v1=100)
    await reader.agree({"old"})
    await fleet.route(CANARY, v1=70, v2=30)
    await reader.agree_on_shares({"old": 0.7, "new": 0.3})
    await reader.agree({"new"}, "x-canary=1")
    await fleet.route(v3=100)
    await reader.agree({"old", "new"})
    await fleet.route(v1=100)
    await reader.agree({"old"})
    await fleet.apps["old"].drain()
    await reader.agree({"far"})
    await fleet.route()
    await reader.agree({"new"})
    await fleet.apps["new"].drain()
    await reader.agree({"far"})
