"""A call that failed before it was sent."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Self

import grpc

from mesh.errors import STATUS_DETAILS_KEY, MeshError


class FailedCall:
    """A call that failed before it could be sent; awaiting or iterating it raises."""

    def __init__(self, error: MeshError) -> None:
        self._error = error
        status = error.to_status().SerializeToString()
        self._trailing = grpc.aio.Metadata((STATUS_DETAILS_KEY, status))

    def _raise(self) -> Any:
        raise grpc.aio.AioRpcError(
            self._error.code, grpc.aio.Metadata(), self._trailing, details=self._error.detail
        )

    def __await__(self) -> Generator[Any, None, Any]:
        return self.__anext__().__await__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._raise()

    async def read(self) -> Any:
        return self._raise()

    async def write(self, _request: Any) -> None:
        self._raise()

    async def done_writing(self) -> None:
        pass

    async def wait_for_connection(self) -> None:
        self._raise()

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return self._trailing

    async def code(self) -> grpc.StatusCode:
        return self._error.code

    async def details(self) -> str:
        return self._error.detail

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)
