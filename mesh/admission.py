"""Lets calls in, over lanes and over plain gRPC, as far as there is time for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc

from mesh.contract import Method
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason
from mesh.lane.frames import Pairs, pack
from mesh.lane.serving import Gate
from mesh.resilience.shedding import Shedder

RETRY_AFTER_S: Final = 1.0
"""When a refused caller may try again."""

_REFUSED: Final = MeshError(MeshReason.OVERLOADED, retry_after_s=RETRY_AFTER_S)
_TRAILING: Final = ((STATUS_DETAILS_KEY, _REFUSED.to_status().SerializeToString()),)


class Door:
    """Asks a shedder before each call, and counts those over plain gRPC that are under way.

    Lanes ask by themselves before they begin a call, so that one which is refused costs
    next to nothing.
    """

    refusal: Pairs = pack(_TRAILING)

    def __init__(self, shedder: Shedder, methods: Mapping[str, Method]) -> None:
        self._shedder = shedder
        self._methods = methods
        self.plain_calls = 0

    def gate(self, path: str) -> Gate | None:
        """What decides for the calls of a method; None: it is no contract's, and always may."""
        method = self._methods.get(path)
        return None if method is None else self._shedder.gate(method)

    def waited(self, seconds: float) -> None:
        """The call that has waited longest on a lane did so for this long."""
        self._shedder.waited(seconds)

    def before(self, path: str, handler: grpc.RpcMethodHandler[Any, Any]) -> Any:
        """The handler of a method, behind the door: for calls over plain gRPC."""
        gate = self._shedder.gate(self._methods[path])
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary, gate))
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._unary(handler.stream_unary, gate))
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler.unary_stream, gate))
        return grpc.stream_stream_rpc_method_handler(self._stream(handler.stream_stream, gate))

    def _unary(self, serve: Any, gate: Gate) -> Any:
        async def unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            if not gate():
                await _refuse(context)
            self.plain_calls += 1
            try:
                return await serve(request, context)
            finally:
                self.plain_calls -= 1

        return unary

    def _stream(self, serve: Any, gate: Gate) -> Any:
        async def stream(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Any]:
            if not gate():
                await _refuse(context)
            self.plain_calls += 1
            try:
                async for answer in serve(request, context):
                    yield answer
            finally:
                self.plain_calls -= 1

        return stream


async def _refuse(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(_REFUSED.code, _REFUSED.detail, _TRAILING)
