"""Brings each call to its method: bytes in, through the chain, bytes out."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeGuard

import grpc
from google.protobuf import message_factory
from google.protobuf.message import DecodeError

from mesh import contract
from mesh.admission import Door
from mesh.call import Asked, Call, Handler, Interceptor
from mesh.context import TRACEPARENT
from mesh.contract import Method
from mesh.deadline import Deadline
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason, status_code
from mesh.interceptors.errors import StatusError
from mesh.resilience.shedding import Shedder
from mesh.service import Servicer
from mesh.spiffe import service_in
from mesh.telemetry import TraceContext

RawContext = grpc.aio.ServicerContext[Any, Any]


class Dispatch(grpc.GenericRpcHandler):
    """The table of methods: path → handler through the chain.

    With a shedder there is a `door` before it. Lanes pass that by themselves.
    """

    def __init__(
        self,
        servicers: Sequence[Servicer],
        interceptors: Sequence[Interceptor],
        shedder: Shedder | None = None,
    ) -> None:
        served = [
            (method, servicer.implementation)
            for servicer in servicers
            for method in map(contract.method, servicer.descriptor.methods)
        ]
        self._methods = {
            method.path: _rpc_handler(method, _bind(method, implementation, interceptors))
            for method, implementation in served
        }
        self.door = None
        self._behind_door = self._methods
        if shedder is not None:
            door = self.door = Door(shedder, {method.path: method for method, _ in served})
            self._behind_door = {p: door.before(p, h) for p, h in self._methods.items()}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        is_lane = getattr(details, "is_lane", False)
        return (self._methods if is_lane else self._behind_door).get(details.method)


def _bind(method: Method, implementation: object, interceptors: Sequence[Interceptor]) -> Handler:
    serve = getattr(implementation, method.name)

    def last(call: Call, request: Any) -> Awaitable[Any]:
        answer: Awaitable[Any] = serve(request, call.transport)
        return answer

    async def last_stream(call: Call, request: Any) -> Any:
        return serve(request, call.transport)

    def wrap(inner: Handler, interceptor: Interceptor) -> Handler:
        return interceptor.bind(method, inner)

    return reduce(wrap, reversed(interceptors), last_stream if method.server_streaming else last)


def _rpc_handler(method: Method, handle: Handler) -> grpc.RpcMethodHandler[Any, Any]:
    """The gRPC side of a method; bytes in and out, so that the chain sees bad messages too."""
    read = _reading(method)

    async def unary(request: Any, context: RawContext) -> bytes:
        call = _call(method, context)
        try:
            response = await handle(call, read(request))
        except StatusError as error:
            await _abort(context, error)
        serialized: bytes = response.SerializeToString()
        return serialized

    async def stream(request: Any, context: RawContext) -> AsyncIterator[bytes]:
        call = _call(method, context)
        try:
            async for response in await handle(call, read(request)):
                yield response.SerializeToString()
        except StatusError as error:
            await _abort(context, error)

    make: Callable[..., grpc.RpcMethodHandler[Any, Any]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    return make(stream if method.server_streaming else unary)


def _reading(method: Method) -> Callable[[Any], Any]:
    """Makes the message, or the iterator of messages, of what the transport gives."""
    request_type = message_factory.GetMessageClass(method.input)

    def parse(raw: bytes) -> Any:
        try:
            return request_type.FromString(raw)
        except DecodeError:
            error = MeshError(MeshReason.MALFORMED_REQUEST)
            raise StatusError(error.to_status()) from None

    async def each(requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for raw in requests:
            yield parse(raw)

    return each if method.client_streaming else parse


def _call(method: Method, context: RawContext) -> Call:
    latest = time.monotonic() + method.timeout_s
    asked = context if _is_read(context) else _Read(context)
    return Call(
        method=method,
        transport=context,
        metadata=asked.metadata,
        deadline=Deadline(min(latest, asked.deadline_at)),
        trace=asked.trace,
        task=asked.task,
        proven=asked.proven,
    )


def _is_read(context: object) -> TypeGuard[Asked]:
    return hasattr(context, "deadline_at")


class _Read:
    """What gRPC's own context says, read into the shape that a lane's has."""

    __slots__ = ("deadline_at", "metadata", "proven", "task", "trace")

    def __init__(self, context: RawContext) -> None:
        left = context.time_remaining()
        self.deadline_at = math.inf if left is None else time.monotonic() + left
        self.metadata: Mapping[str, str | bytes] = dict(context.invocation_metadata() or ())
        header = self.metadata.get(TRACEPARENT, "")
        self.trace = TraceContext.parse(header) if isinstance(header, str) else None
        self.task = None
        self.proven = service_in(context.auth_context())


async def _abort(context: RawContext, error: StatusError) -> None:
    trailing = ((STATUS_DETAILS_KEY, error.status.SerializeToString()),)
    await context.abort(status_code(error.status.code), error.status.message, trailing)
