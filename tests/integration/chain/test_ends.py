"""How calls end: failures, deadlines, bounds; and what is counted of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from engine.mesh.v1 import trust_pb2, trust_pb2_grpc
from mesh import Blueprint, ErrorView, Service, Servicer
from mesh.testing import Mesh
from tests.integration.chain.toy import Toy, customers, get, refusal, rm_token


async def test_an_unexpected_failure_shows_an_incident_and_hides_its_text(
    mesh: Mesh, toy: Toy, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The text goes to the log under the incident id, never to the caller."""
    token = rm_token(mesh)
    with caplog.at_level(logging.CRITICAL):
        error = await refusal(customers(mesh, token).GetCustomer(get(13)))
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert len(error.metadata["incident"]) == 12
    assert "13800001111" not in error.message


async def test_a_slow_handler_is_ended_by_the_callers_deadline(mesh: Mesh, toy: Toy) -> None:
    """The caller hears of it in time and the handler is cancelled."""
    token = rm_token(mesh)
    error = await refusal(customers(mesh, token).GetCustomer(get(14), timeout=0.1))
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(toy.cancelled.wait(), 5)


async def test_a_stream_that_fails_ends_with_its_error(mesh: Mesh, toy: Toy) -> None:
    """What was sent arrives, then the status with its details."""
    mesh.trust("customer", {"trust.watch"})
    mesh.trust("toy2", {"trust.watch"})
    channel = mesh.channel("toy", caller="toy")
    stub = trust_pb2_grpc.TrustServiceStub(channel)
    stream = stub.WatchRevocations(trust_pb2.WatchRevocationsRequest())
    assert await stream.read() == trust_pb2.WatchRevocationsResponse()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stream.read()
    view = ErrorView.from_rpc(failed.value)
    assert (view.reason, view.retry_after_s) == ("OVERLOADED", 2)


async def test_calls_are_counted_with_their_codes(mesh: Mesh, toy: Toy) -> None:
    """Refused calls are counted like served ones."""
    stub = customers(mesh, rm_token(mesh))
    await stub.GetCustomer(get(1))
    await refusal(stub.GetCustomer(get(100)))
    path = "/engine.customer.v1.CustomerService/GetCustomer"
    meters = toy.telemetry.meters
    assert meters.call("server", path, "OK").count == 1
    assert meters.call("server", path, "NOT_FOUND").count == 1


async def test_health_and_reflection_are_served_to_any_grpc_client(mesh: Mesh, toy: Toy) -> None:
    """A stock client, without our channel or any token."""
    address = mesh.registry.lookup("toy")[0].address
    async with grpc.aio.insecure_channel(address) as channel:
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in stub.ServerReflectionInfo(iter([request])):
            names = {service.name for service in answer.list_services_response.service}
    assert "engine.customer.v1.CustomerService" in names


async def test_calls_in_flight_beyond_the_bound_are_refused(mesh: Mesh, var: Path) -> None:
    """The bound of one call at once holds; the second is told to come back."""
    running = asyncio.Event()

    class Slow(trust_pb2_grpc.TrustServiceServicer):
        async def GetKeySet(self, request: Any, _: Any) -> Any:
            running.set()
            await asyncio.Event().wait()

        async def PollRevocations(self, request: Any, _: Any) -> Any:
            return trust_pb2.PollRevocationsResponse()

        async def WatchRevocations(self, request: Any, _: Any) -> AsyncIterator[Any]:
            yield trust_pb2.WatchRevocationsResponse()

    descriptor = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]
    servicers = [Servicer(descriptor=descriptor, implementation=Slow())]
    blueprint = Blueprint(name="slow", build=lambda _: Service(servicers=servicers))
    await mesh.start(blueprint, max_in_flight=1)
    stub = trust_pb2_grpc.TrustServiceStub(mesh.channel("slow"))
    first = asyncio.ensure_future(stub.GetKeySet(trust_pb2.GetKeySetRequest()))
    await running.wait()
    # It has no time to come back: the service asks to wait for a second.
    error = await refusal(stub.GetKeySet(trust_pb2.GetKeySetRequest(), timeout=0.9))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
