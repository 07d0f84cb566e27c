"""Bounds the calls of one method, so that a slow one does not take all there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mesh.admission import RETRY_AFTER_S
from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.telemetry import Counter, Meters


class BulkheadInterceptor:
    """Enforces `max_in_flight`; a call above it is refused at once, and did not run."""

    def __init__(self, meters: Meters) -> None:
        self._refused = meters.counter("mesh.calls_bulkheaded")

    def bind(self, method: Method, call_next: Handler) -> Handler:
        most = method.policy.max_in_flight
        if not most:
            return call_next
        rooms = _Rooms(most, self._refused)

        async def bounded(call: Call, request: Any) -> Any:
            with rooms:
                return await call_next(call, request)

        async def stream(call: Call, request: Any) -> Any:
            return held(call, request)

        async def held(call: Call, request: Any) -> AsyncIterator[Any]:
            with rooms:
                async for answer in await call_next(call, request):
                    yield answer

        return stream if method.server_streaming else bounded


class _Rooms:
    """As many as calls may run; entered by each that does."""

    def __init__(self, most: int, refused: Counter) -> None:
        self._most = self._free = most
        self._refused = refused

    def __enter__(self) -> None:
        if not self._free:
            self._refused.add()
            text = f"{self._most} calls of this method are under way, and no more may be"
            raise MeshError(MeshReason.OVERLOADED, text, retry_after_s=RETRY_AFTER_S)
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1
