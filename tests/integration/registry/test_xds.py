"""Stock gRPC clients find and call services by xDS, with the bootstrap as all they know."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from engine.xds.v1.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from mesh.registry import HeaderRule, Route, Split
from mesh.registry.app import BLUEPRINT
from mesh.registry.xds import handler
from mesh.registry.xds.handler import PATH
from mesh.registry.xds.kinds import Kind
from mesh.registry.xds.session import MAX_NAMES
from mesh.testing import Mesh
from tests.integration.registry.running import RunningRegistry
from tests.integration.registry.stock import stock_client
from tests.integration.registry.toy import Keys, instance


async def test_a_stock_client_finds_and_calls_a_service_of_the_folder(mesh: Mesh) -> None:
    """As under `engine up`: nothing has a lease, and the registry shows the host's processes."""
    mesh.trust("customer", ())
    registry = await mesh.start(BLUEPRINT)
    async with (
        instance(mesh, Keys("a"), mesh.registry),
        stock_client(registry.entry.address) as client,
    ):
        await client.until(lambda seen: seen == {"a": 10})  # the folder is read now and then
        async with instance(mesh, Keys("b"), mesh.registry, replica=2):
            await client.until(lambda seen: seen.keys() == {"a", "b"})
        await client.until(lambda seen: seen == {"a": 10})


async def test_a_client_that_came_before_the_first_instance_finds_it(
    mesh: Mesh, registry: RunningRegistry
) -> None:
    """And when the last one leaves, its calls fail at once instead of waiting."""
    async with stock_client(registry.address) as client:
        assert await client.call(1) == {"UNAVAILABLE": 1}
        async with (
            registry.client("customer") as customer,
            instance(mesh, Keys("a"), customer),
        ):
            await client.until(lambda seen: seen == {"a": 10})
        await client.until(lambda seen: seen == {"UNAVAILABLE": 10})


async def test_one_that_drains_gets_no_further_calls(mesh: Mesh, registry: RunningRegistry) -> None:
    """Its calls go to the others, and none fails."""
    leaving, staying = Keys("a"), Keys("b")
    async with (
        registry.client("customer") as customer,
        instance(mesh, staying, customer, replica=2),
        instance(mesh, leaving, customer) as app,
        stock_client(registry.address) as client,
    ):
        await client.until(lambda seen: seen.keys() == {"a", "b"})
        await app.drain()
        await client.until(lambda seen: seen == {"b": 10})


async def test_a_later_priority_is_called_when_the_first_one_is_gone(
    mesh: Mesh, registry: RunningRegistry
) -> None:
    """Priorities may have gaps in the table, which clients would refuse."""
    async with (
        registry.client("customer") as customer,
        instance(mesh, Keys("far"), customer, replica=2, priority=7),
        stock_client(registry.address) as client,
    ):
        async with instance(mesh, Keys("near"), customer, priority=3):
            await client.until(lambda seen: seen == {"near": 10})
        await client.until(lambda seen: seen == {"far": 10})


async def test_a_header_and_a_share_choose_the_version(
    mesh: Mesh, registry: RunningRegistry
) -> None:
    """A canary: those who ask for it, and a part of the others. Without one all get the rest."""
    rule = HeaderRule(header="x-canary", value="1", version="2")
    async with (
        registry.client("operator") as operator,
        registry.client("customer") as customer,
        instance(mesh, Keys("old"), customer, version="1"),
        stock_client(registry.address) as client,
    ):
        async with instance(mesh, Keys("new"), customer, replica=2, version="2"):
            splits = (Split(version="1", weight=100), Split(version="2", weight=0))
            await operator.set_route(Route(service="customer", rules=(rule,), splits=splits))
            await client.until(lambda seen: seen == {"old": 10})
            await client.until(lambda seen: seen == {"new": 10}, "x-canary=1")
            assert await client.call(10, "x-canary=2") == {"old": 10}
            halves = (Split(version="1", weight=50), Split(version="2", weight=50))
            await operator.set_route(Route(service="customer", splits=halves))
            await client.until(lambda seen: seen.keys() == {"old", "new"})
        await client.until(lambda seen: seen == {"old": 10})


async def test_an_instance_that_fails_is_passed_over_for_a_while(
    mesh: Mesh, registry: RunningRegistry
) -> None:
    """Though it is in the table, and answers."""
    broken, good = Keys("broken"), Keys("good")
    async with (
        registry.client("customer") as customer,
        instance(mesh, broken, customer),
        instance(mesh, good, customer, replica=2),
        stock_client(registry.address) as client,
    ):
        await client.until(lambda seen: seen.keys() == {"broken", "good"})
        broken.fails = True
        await client.until(lambda seen: seen == {"good": 40}, times=40)


async def test_a_registry_that_goes_and_comes_back_takes_no_call_away(
    mesh: Mesh, registry: RunningRegistry
) -> None:
    """Also when it has lost its table: it says nothing before it knows."""
    async with (
        registry.client("customer") as customer,
        instance(mesh, Keys("a"), customer),
        stock_client(registry.address) as client,
    ):
        await client.until(lambda seen: seen == {"a": 10})
        await registry.stop()
        assert await client.call(50) == {"a": 50}
        await registry.start()
        while customer.sessions < 2:
            assert await client.call(20) == {"a": 20}
        async with instance(mesh, Keys("b"), customer, replica=2):
            await client.until(lambda seen: seen.keys() == {"a", "b"})


async def test_names_beyond_the_bound_are_refused(registry: RunningRegistry) -> None:
    """A stream may not make the registry keep what it likes."""
    names = [f"s{number}" for number in range(MAX_NAMES + 1)]
    async with grpc.aio.insecure_channel(registry.address) as channel:
        stream = ads(channel)
        await stream.write(DiscoveryRequest(type_url=Kind.LISTENER, resource_names=names))
        with pytest.raises(grpc.aio.AioRpcError, match="at most") as error:
            await stream.read()
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_clients_beyond_the_bound_are_refused_until_one_leaves(
    registry: RunningRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs memory for as long as it listens."""
    monkeypatch.setattr(handler, "MAX_STREAMS", 1)
    request = DiscoveryRequest(type_url=Kind.LISTENER, resource_names=["customer"])
    async with grpc.aio.insecure_channel(registry.address) as channel:
        first = ads(channel)
        await first.write(request)
        assert len((await first.read()).resources) == 1
        with pytest.raises(grpc.aio.AioRpcError, match="told already"):
            await ads(channel).read()
        first.cancel()
        async with asyncio.timeout(30):
            while True:
                later = ads(channel)
                await later.write(request)
                try:
                    assert len((await later.read()).resources) == 1
                    break
                except grpc.aio.AioRpcError:
                    continue


async def test_who_may_not_ask_is_told_what_to_set(mesh: Mesh) -> None:
    """`none`: there is no such method; else only this host, or who shows a certificate."""
    registry = RunningRegistry(mesh, registry_xds="none")
    await registry.start()
    async with grpc.aio.insecure_channel(registry.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ads(channel).read()
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await registry.stop()


def ads(channel: grpc.aio.Channel) -> Any:
    """A stream as a client opens it."""
    method: Any = channel.stream_stream(
        PATH, DiscoveryRequest.SerializeToString, DiscoveryResponse.FromString
    )
    return method(timeout=30)
