"""A call over a lane that nobody waits for yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import TIMEOUT_MAX, Condition
from types import TracebackType
from typing import Any

import grpc

from mesh.blocking._call import MARGIN_S, LaneCall, late
from mesh.blocking._ending import EndedCall, Ending, LaneRpcError, pairs
from mesh.blocking._thread import CLOSED, LaneThread
from mesh.lane.outcome import CANCELLED_BY_US
from mesh.log import get_logger

_log = get_logger(__name__)

_CANCELLED = grpc.StatusCode.CANCELLED


class LaneFuture(grpc.Call, grpc.Future):  # type: ignore[type-arg]  # generic in the stubs alone
    """As `grpc.UnaryUnaryMultiCallable.future` answers it.

    Callbacks run in the thread of the lanes: they should not take long. A call that no
    lane takes goes on as grpc's own future.

    Args:
        thread: has the call.
        due: when it must be answered, in seconds of `time.monotonic()`.
        deserialize: reads the response; None: bytes.
        carry: sends it to an address the ordinary way.
    """

    def __init__(
        self,
        thread: LaneThread,
        due: float,
        deserialize: Callable[[bytes], Any] | None,
        carry: Callable[[str], Any],
    ) -> None:
        self._thread = thread
        self._due = due
        self._deserialize = deserialize
        self._carry = carry
        self._condition = Condition()
        self._callbacks: list[Callable[[], None]] = []
        self._ended: EndedCall | LaneRpcError | None = None
        self._is_cancelled = False
        self._carried: Any = None
        self.call: LaneCall

    # How it ends.

    def told(self) -> None:
        """The call has ended, or is handed back."""
        call = self.call
        if not call.is_done:
            self._go_on(call.address)
            return
        try:
            response = call.answer(self._deserialize)
        except LaneRpcError as error:
            self._settle(error)
        else:
            self._settle(EndedCall(call.ending, response))

    def _go_on(self, address: str) -> None:
        try:
            carried = self._carry(address)
        except ValueError:
            self._settle(LaneRpcError(Ending(code=_CANCELLED, details=CLOSED)))
            return
        self._carried = carried
        carried.add_done_callback(self._arrived)
        if self.done():
            carried.cancel()

    def _arrived(self, carried: Any) -> None:
        ending = Ending(
            code=carried.code(),
            details=carried.details() or "",
            initial=pairs(carried.initial_metadata()),
            trailing=pairs(carried.trailing_metadata()),
        )
        is_well = ending.code is grpc.StatusCode.OK
        self._settle(EndedCall(ending, carried.result()) if is_well else LaneRpcError(ending))

    def _settle(self, ended: EndedCall | LaneRpcError, *, is_cancelled: bool = False) -> bool:
        """End once; whether it was this time."""
        with self._condition:
            if self._ended is not None:
                return False
            self._ended = ended
            self._is_cancelled = is_cancelled
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            _call_back(callback)
        return True

    def _end(self, timeout: float | None = None) -> EndedCall | LaneRpcError:
        """How it ended, once it has.

        Raises:
            grpc.FutureTimeoutError: it has not within `timeout` seconds.
        """
        left = max(0.0, self._due - time.monotonic()) + MARGIN_S
        bound = left if timeout is None else min(left, timeout)
        with self._condition:
            self._condition.wait_for(self.done, min(bound, TIMEOUT_MAX))
        if self._ended is None and bound < left:
            raise grpc.FutureTimeoutError
        self._settle(late())
        assert self._ended is not None
        return self._ended

    # The interface of grpc.Future.

    def cancel(self) -> bool:
        ending = Ending(code=_CANCELLED, details=CANCELLED_BY_US)
        if not self._settle(LaneRpcError(ending), is_cancelled=True):
            return False
        self._thread.cancel(self.call)
        if self._carried is not None:
            self._carried.cancel()
        return True

    def cancelled(self) -> bool:
        return self._is_cancelled

    def running(self) -> bool:
        return self._ended is None

    def done(self) -> bool:
        return self._ended is not None

    def result(self, timeout: float | None = None) -> Any:
        return self._uncancelled(timeout).result()

    def exception(self, timeout: float | None = None) -> LaneRpcError | None:
        return self._uncancelled(timeout).exception()

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        error = self.exception(timeout)
        return None if error is None else error.traceback()

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def _uncancelled(self, timeout: float | None) -> EndedCall | LaneRpcError:
        ended = self._end(timeout)
        if self._is_cancelled:
            raise grpc.FutureCancelledError
        return ended

    # The interface of grpc.Call.

    def initial_metadata(self) -> Any:
        return self._end().initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._end().trailing_metadata()

    def code(self) -> grpc.StatusCode:
        return self._end().code()

    def details(self) -> Any:
        return self._end().details()

    def debug_error_string(self) -> str:
        """For developers; waits for the end."""
        return self._end().debug_error_string()

    def is_active(self) -> bool:
        return self._ended is None

    def time_remaining(self) -> float:
        return max(0.0, self._due - time.monotonic())

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._condition:
            if self._ended is not None:
                return False
            self._callbacks.append(callback)
            return True


def _call_back(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - it is the program's, and not its caller's here
        _log.error("callback_failed", exc_info=error)
