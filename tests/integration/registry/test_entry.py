"""What a process tells of itself."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from engine.mesh.v1 import lane_pb2, registry_pb2, trust_pb2
from engine.mesh.v1.trust_pb2_grpc import TrustServiceStub
from gateway.reflection import fetch
from mesh import contract
from mesh.registry.load import LoadReport
from mesh.testing import Mesh
from tests.integration.registry.running import RunningRegistry, until
from tests.integration.registry.toy import Keys, instance

TRUST = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]
LANES = lane_pb2.DESCRIPTOR.services_by_name["LaneService"]
REGISTRY = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"]


class Waiting(Keys):
    """Answers when it is told to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.answers = asyncio.Event()

    async def GetKeySet(self, request: Any, context: Any) -> trust_pb2.GetKeySetResponse:
        await self.answers.wait()
        return await super().GetKeySet(request, context)


def test_a_digest_is_of_the_contracts_alone() -> None:
    """Whatever their order; any other contract makes another."""
    assert contract.digest([TRUST, LANES]) == contract.digest([LANES, TRUST])
    assert contract.digest([TRUST]) != contract.digest([TRUST, LANES])
    assert contract.digest([TRUST]) != contract.digest([REGISTRY])


async def test_a_process_tells_the_digest_of_what_it_serves(mesh: Mesh) -> None:
    """The same from each process of a service, and what whoever asks by reflection finds."""
    mesh.trust("customer", ())
    async with (
        instance(mesh, Keys("a"), mesh.registry) as one,
        instance(mesh, Keys("b"), mesh.registry, replica=2) as other,
    ):
        assert one.entry.digest == other.entry.digest == contract.digest([TRUST, LANES])
        async with grpc.aio.insecure_channel(one.entry.address) as channel:
            found = await fetch(channel, timeout_s=5)
        assert found.digest == one.entry.digest


async def test_a_process_tells_how_full_it_is(var: Any, registry: RunningRegistry) -> None:
    """Calls under way out of those that it may run at once, over lanes and plain gRPC alike."""
    async with Mesh(var / "full", max_in_flight=4) as mesh:
        mesh.trust("customer", ())
        waiting = Waiting("a")
        async with (
            registry.client("customer") as customer,
            registry.client("action") as action,
            instance(mesh, waiting, customer) as app,
            grpc.aio.insecure_channel(app.entry.address) as channel,
        ):
            stub = TrustServiceStub(channel)
            calls = [stub.GetKeySet(trust_pb2.GetKeySetRequest()) for _ in range(2)]
            await until(lambda: [e.load for e in action.lookup("customer")] == [0.5])
            waiting.answers.set()
            await asyncio.gather(*calls)
            await until(lambda: [e.load for e in action.lookup("customer")] == [0.0])


async def test_only_a_load_that_has_moved_is_told(mesh: Mesh) -> None:
    """Each word is read by every process of the host."""
    loads, told = [0.05, 0.3, 0.35, 0.1], []

    async def tell(load: float) -> None:
        told.append(load)

    report = LoadReport(lambda: loads.pop(0), tell)
    while loads:
        await report.look()
    assert told == [0.3, 0.1]


async def test_a_load_that_could_not_be_told_is_told_again(mesh: Mesh) -> None:
    """The disk may be full."""
    told = list[float]()

    async def tell(load: float) -> None:
        if not told:
            told.append(0.0)
            raise OSError(28, "No space left on device")
        told.append(load)

    report = LoadReport(lambda: 0.5, tell)
    await report.look()
    await report.look()
    await report.look()
    assert told == [0.0, 0.5]
