"""Turns every exception into a status that may be shown to the caller."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.rpc import status_pb2

from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason, status_code
from mesh.log import get_logger
from mesh.storage import StorageError, StoreUnavailable
from mesh.telemetry import Meters

_PASSED_ON = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""Codes of a failed call further down that tell our caller the truth about his own call."""

_log = get_logger(__name__)


class StatusError(Exception):
    """A status on its way to the caller; raised by this interceptor alone."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.status = status
        super().__init__(status.message)

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return status_code(self.status.code)


class ErrorInterceptor:
    """Maps exceptions; an unexpected one becomes INTERNAL with an incident id.

    Its text goes to the log, never to the caller.
    """

    def __init__(self, meters: Meters) -> None:
        self._incidents = meters.counter("mesh.incidents")

    def bind(self, method: Method, call_next: Handler) -> Handler:
        async def unary(call: Call, request: Any) -> Any:
            try:
                return await call_next(call, request)
            except (asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as error:
                raise StatusError(self._status(method, error)) from error

        async def stream(call: Call, request: Any) -> Any:
            return guarded(call, request)

        async def guarded(call: Call, request: Any) -> AsyncIterator[Any]:
            try:
                async for response in await call_next(call, request):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as error:
                raise StatusError(self._status(method, error)) from error

        return stream if method.server_streaming else unary

    def _status(self, method: Method, error: BaseException) -> status_pb2.Status:
        return known_status(error) or self._incident(method, error)

    def _incident(self, method: Method, error: BaseException) -> status_pb2.Status:
        incident = secrets.token_hex(6)
        self._incidents.add()
        # A storage error's text may quote values; its type and place are enough.
        _log.error(
            "call_failed",
            method=method.path,
            incident=incident,
            error=type(error).__name__,
            exc_info=None if isinstance(error, StorageError) else error,
        )
        return MeshError(MeshReason.INTERNAL, metadata={"incident": incident}).to_status()


def known_status(error: BaseException) -> status_pb2.Status | None:
    """What the caller is told of an error; None when it is unexpected and becomes an incident."""
    if isinstance(error, MeshError):
        return error.to_status()
    if isinstance(error, TimeoutError):
        return MeshError(MeshReason.DEADLINE_EXCEEDED).to_status()
    if isinstance(error, grpc.aio.AioRpcError) and error.code() in _PASSED_ON:
        return _passed_on(error)
    if isinstance(error, StoreUnavailable):
        return MeshError(MeshReason.UNAVAILABLE, "The store cannot be reached").to_status()
    return None


def _passed_on(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return MeshError(MeshReason.UNAVAILABLE).to_status()
    number: int = error.code().value[0]
    return status_pb2.Status(code=number, message=error.code().value[1])
