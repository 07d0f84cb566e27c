"""What is read of a call before the chain sees it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from engine.customer.v1 import customer_pb2
from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.dispatch import Dispatch
from mesh.service import Servicer
from mesh.telemetry import TraceContext

CUSTOMERS: ServiceDescriptor = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
PATH = "/engine.customer.v1.CustomerService/GetCustomer"
TRACE = TraceContext.of(1, 2, sampled=True)
REQUEST = customer_pb2.GetCustomerRequest(customer_id=7).SerializeToString()


class Plain:
    """The part of grpc.aio's servicer context that is read."""

    def __init__(
        self, left: float | None, *pairs: tuple[str, str | bytes], identity: str = ""
    ) -> None:
        self._left = left
        self._pairs = pairs
        self._auth = {"peer_spiffe_id": [identity.encode()]} if identity else {}

    def auth_context(self) -> Any:
        return self._auth

    def time_remaining(self) -> float | None:
        return self._left

    def invocation_metadata(self) -> Any:
        return self._pairs


class Read:
    """A context of a lane: everything is read already."""

    def __init__(self, deadline_at: float, metadata: Mapping[str, str | bytes]) -> None:
        self.deadline_at = deadline_at
        self.metadata = metadata
        self.trace = TRACE
        self.proven = "gateway"
        self.task = asyncio.current_task()


class Seen:
    """An interceptor that keeps the calls, and an implementation that answers them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def bind(self, method: Method, call_next: Handler) -> Handler:
        async def seen(call: Call, request: Any) -> Any:
            self.calls.append(call)
            return await call_next(call, request)

        return seen

    def __getattr__(self, name: str) -> Any:
        async def serve(request: Any, transport: Any) -> Any:
            return customer_pb2.GetCustomerResponse()

        return serve


async def call(context: Any) -> Call:
    """The call that the chain gets for a context."""
    seen = Seen()
    dispatch = Dispatch([Servicer(descriptor=CUSTOMERS, implementation=seen)], [seen])
    details: Any = SimpleNamespace(method=PATH)
    handler = dispatch.service(details)
    assert handler is not None
    serve: Any = handler.unary_unary
    await serve(REQUEST, context)
    (only,) = seen.calls
    assert only.transport is context
    return only


async def test_what_a_lane_has_read_is_taken_as_it_is() -> None:
    """Metadata is shared and not copied; neither trace nor deadline is worked out again."""
    metadata = {"x": "y"}
    at = time.monotonic() + 1
    got = await call(Read(at, metadata))
    assert got.metadata is metadata
    assert got.trace is TRACE
    assert got.task is asyncio.current_task()
    assert got.proven == "gateway"
    assert got.deadline.at == at


async def test_grpcs_own_context_is_read() -> None:
    """The same, from what its methods answer."""
    pairs = (("x", "y"), ("traceparent", TRACE.header))
    got = await call(Plain(1.0, *pairs, identity="spiffe://engine/gateway"))
    assert got.proven == "gateway"
    assert got.text("x") == "y"
    assert got.trace == TRACE
    assert 0 < got.deadline.remaining_s() <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plain(None),
        lambda: Plain(3600.0),
        lambda: Read(math.inf, {}),
        lambda: Read(time.monotonic() + 3600, {}),
    ],
)
async def test_the_methods_own_time_out_bounds_every_call(make: Callable[[], Any]) -> None:
    """Who does not say until when he waits, or waits too long, is answered in time all the same."""
    got = await call(make())
    assert 0 < got.deadline.remaining_s() <= got.method.timeout_s


async def test_a_traceparent_in_bytes_is_none() -> None:
    """Binary metadata of that name is ignored."""
    assert (await call(Plain(None, ("traceparent", b"x")))).trace is None
