"""The service of gRPC's interoperability cases, as the published descriptions have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from tests.conformance.calls.contract import messages, stubs

INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"


async def _echo_metadata(context: Any) -> None:
    given = context.invocation_metadata()
    initial = tuple((key, value) for key, value in given if key == INITIAL)
    if initial:
        await context.send_initial_metadata(initial)
    context.set_trailing_metadata(tuple((key, value) for key, value in given if key == TRAILING))


def _echo_status(request: Any, context: Any) -> None:
    status = request.response_status
    if status.code:
        context.set_code(next(code for code in grpc.StatusCode if code.value[0] == status.code))
        context.set_details(status.message)


def _payload(size: int) -> Any:
    return messages().Payload(body=bytes(size))


class InteropService:
    """Answers what the cases ask for."""

    async def EmptyCall(self, request: Any, context: Any) -> Any:
        return messages().Empty()

    async def UnaryCall(self, request: Any, context: Any) -> Any:
        await _echo_metadata(context)
        _echo_status(request, context)
        return messages().UnaryResponse(payload=_payload(request.response_size))

    async def StreamingInputCall(self, requests: AsyncIterator[Any], context: Any) -> Any:
        sizes = [len(request.payload.body) async for request in requests]
        return messages().InputResponse(aggregated_size=sum(sizes))

    async def StreamingOutputCall(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for size in request.response_sizes:
            yield messages().OutputResponse(payload=_payload(size))

    async def FullDuplexCall(
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        await _echo_metadata(context)
        async for request in requests:
            _echo_status(request, context)
            for size in request.response_sizes:
                yield messages().OutputResponse(payload=_payload(size))


def add_interop(server: Any) -> None:
    """Serve it as teams do: on the generated base class, whose methods are unimplemented."""
    base = stubs().InteropServiceServicer
    servicer = type("Interop", (InteropService, base), {})()
    stubs().add_InteropServiceServicer_to_server(servicer, server)
