"""A second try of a call on another process of the service, where it cannot do harm."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from mesh.errors import STATUS_DETAILS_KEY

_NOT_SENT: Final = "failed to connect to all addresses"
"""How gRPC begins to tell that a call never left this process."""

_LEVELS = descriptor_pb2.MethodOptions
_REPEATABLE = (_LEVELS.IDEMPOTENT, _LEVELS.NO_SIDE_EFFECTS)


class SecondTry:
    """A unary call; when its process is gone, another one is asked, once.

    That is done only when the first surely did not see the call, or when the
    contract says that a second time does no harm (`idempotency_level`). An error
    that a service itself answered is passed on.

    Args:
        call: the first try.
        path: "/package.Service/Method".
        again: sends the call to another process; None when there is no other.
    """

    def __init__(self, call: Any, path: str, again: Callable[[], Any]) -> None:
        self._call = call
        self._path = path
        self._again: Callable[[], Any] | None = again

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)  # code, details, cancel, …: those of the latest try

    async def _answer(self) -> Any:
        try:
            return await self._call
        except grpc.aio.AioRpcError as error:
            again, self._again = self._again, None
            if again is None or not may_try_again(error, self._path):
                raise
            other = again()
            if other is None:
                raise
            self._call = other
        return await self._call


def may_try_again(error: Any, path: str) -> bool:
    """Whether a call that failed, of grpc.aio or of blocking grpc, may be sent once more."""
    if error.code() is not grpc.StatusCode.UNAVAILABLE or _is_answered(error):
        return False
    return is_unsent(error) or is_repeatable(path)


def is_unsent(error: Any) -> bool:
    """Whether a call surely never left this process."""
    return (error.details() or "").startswith(_NOT_SENT)


def _is_answered(error: Any) -> bool:
    return any(key == STATUS_DETAILS_KEY for key, _ in error.trailing_metadata() or ())


@cache
def is_repeatable(path: str) -> bool:
    """Whether the contract, as far as this process knows it, lets a call be sent twice."""
    name = path.removeprefix("/").replace("/", ".")
    try:
        method = descriptor_pool.Default().FindMethodByName(name)
    except KeyError:
        return False
    raw = method.GetOptions().SerializeToString()
    return descriptor_pb2.MethodOptions.FromString(raw).idempotency_level in _REPEATABLE
