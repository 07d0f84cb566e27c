"""A call over a lane that a thread, or a future, waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import TIMEOUT_MAX, Lock
from typing import Any, Final

import grpc

from mesh.blocking._ending import Ending, LaneRpcError, pairs
from mesh.lane.call import LATE_TEXT, UnaryCall

MARGIN_S: Final = 0.5
"""By so much a waiting thread outlasts a deadline, which the lanes' thread is to keep."""
_UNREADABLE: Final = "The answer cannot be read: it is not of the type that the contract names"


class LaneCall(UnaryCall, eq=False, kw_only=True):
    """The side of the lanes, in their thread; `notify` tells the other side of its end.

    When no lane takes it, it is not ended but handed back: `address` then says where its
    owner is to send it the ordinary way.
    """

    notify: Callable[[], object] | None
    address: str = ""
    resent: int = 0
    """How often it was sent again."""

    def hand_back(self, address: str) -> None:
        """Let its owner send it to `address` the ordinary way."""
        self.address = address
        self._tell()

    def _end(self, code: grpc.StatusCode, reply: bytes) -> None:
        super()._end(code, reply)
        self._tell()

    def _tell(self) -> None:
        """Notify once: who was told does not wait any more."""
        notify, self.notify = self.notify, None
        if notify is not None:
            notify()

    @property
    def ending(self) -> Ending:
        """How it ended."""
        return Ending(
            code=self._code,
            details=self._details,
            initial=pairs(self._initial),
            trailing=pairs(self._trailing),
        )

    def answer(self, deserialize: Callable[[bytes], Any] | None) -> Any:
        """The response.

        Raises:
            LaneRpcError: the call failed, or its answer cannot be read.
        """
        if self._code is not grpc.StatusCode.OK:
            raise LaneRpcError(self.ending)
        if deserialize is None:
            return self.reply
        try:
            return deserialize(self.reply)
        except Exception as error:
            ending = Ending(code=grpc.StatusCode.INTERNAL, details=_UNREADABLE)
            raise LaneRpcError(ending) from error


class Waiting:
    """The side of the thread that waits."""

    __slots__ = ("_lock", "notify")

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()
        self.notify = self._lock.release

    def until(self, due: float) -> bool:
        """Wait to be notified; False when that comes not even a little after `due`."""
        left = max(0.0, due - time.monotonic()) + MARGIN_S
        return self._lock.acquire(timeout=min(left, TIMEOUT_MAX))


def late() -> LaneRpcError:
    """The error of a call that nobody has ended in time."""
    return LaneRpcError(Ending(code=grpc.StatusCode.DEADLINE_EXCEEDED, details=LATE_TEXT))
