"""Which failures pass by themselves, what is told of the others, and how long to wait."""

from __future__ import annotations

import random
from typing import Final

import grpc

from mesh.errors import ErrorView, MeshError
from mesh.storage import StoreUnavailable

FIRST_S: Final = 0.05
LAST_S: Final = 2.0
MAX_KIND: Final = 200

_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed later: something cannot be reached, or was too slow."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in _PASSING
    if isinstance(error, MeshError):
        return error.code in _PASSING
    return isinstance(error, StoreUnavailable | TimeoutError)


def kind(error: BaseException) -> str:
    """What kind of error it is, without its text, which may quote anything."""
    name = type(error).__name__
    if isinstance(error, MeshError):
        name = f"{name} {error.reason.name}"
    elif isinstance(error, grpc.aio.AioRpcError):
        name = f"{name} {error.code().name} {ErrorView.from_rpc(error).reason}".rstrip()
    return name[:MAX_KIND]


class Backoff:
    """Seconds to wait before the next try: twice as many each time, with jitter, bounded."""

    def __init__(self, first_s: float = FIRST_S, last_s: float = LAST_S) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._next_s = first_s

    def next_s(self) -> float:
        """How long to wait now."""
        waited_s, self._next_s = self._next_s, min(self._next_s * 2, self._last_s)
        return waited_s * random.uniform(0.75, 1.0)  # noqa: S311 - jitter

    def reset(self) -> None:
        """It succeeded: begin again."""
        self._next_s = self._first_s
