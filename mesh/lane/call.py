"""A unary call on its way over a lane: what a stub answers in place of grpc.aio's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc

from mesh.errors import status_code
from mesh.lane.frames import EndFrame, Pair, Pairs, unpack
from mesh.lane.outcome import CANCELLED_BY_US, Outcome

if TYPE_CHECKING:
    from mesh.lane.blocks import Shared

_OK: Final = grpc.StatusCode.OK
_CANCELLED: Final = grpc.StatusCode.CANCELLED
_LATE: Final = grpc.StatusCode.DEADLINE_EXCEEDED

LATE_TEXT: Final = "Deadline Exceeded"
_NOT_READ: Final = "The answer cannot be read: it is not of the type that the contract names"

_UNREAD: Final = object()


class Holder(Protocol):
    """Has a call in its hands: a lane, or a channel that waits for one."""

    def cancelled(self, call: UnaryCall) -> None:
        """Nobody waits for the answer of `call` any more."""

    @property
    def connected(self) -> asyncio.Future[None] | None:
        """Done once its connection stands, or came to nothing; None: it does not know when."""


class UnaryCall(Outcome, eq=False):
    """A call with one request and one answer, as `grpc.aio.UnaryUnaryCall` has it.

    Awaiting it answers the response or raises `grpc.aio.AioRpcError`; cancelling who
    awaits it cancels the call. Times are seconds of `time.monotonic()`.

    Args:
        path: "/package.Service/Method".
        request: serialised.
        deserialize: reads the response; None: bytes.
        due: when it must be answered; infinity: never.
        shared: metadata that other calls carry as well.
        own: metadata of its own.
        trace: 25 bytes, or none.
    """

    path: str
    request: bytes
    deserialize: Callable[[bytes], Any] | None
    due: float
    shared: Shared | None = None
    own: Sequence[Pair] = ()
    trace: bytes = b""
    wait_for_ready: bool | None = None
    observe: Callable[[float], None] | None = None
    """Told the seconds that the call took, once it is answered."""
    began: float = 0.0
    moves: int = 0
    loop: asyncio.AbstractEventLoop | None = None
    """Where it is awaited; its lane says so, since asking costs a system call."""
    holder: Holder | None = None
    pieces: list[bytes] | None = None
    size: int = 0
    id: int = 0
    reply: bytes = b""
    _response: Any = None
    _future: asyncio.Future[None] | None = None

    # How it ends: called by who holds it.

    def answered(self, reply: bytes) -> None:
        """The call ended well, with no metadata."""
        self._end(_OK, reply)

    def ended(self, frame: EndFrame) -> None:
        """The call ended as the server's frame says."""
        _, code, details, initial, trailing, reply = frame
        self._initial, self._trailing = _metadata(initial), _metadata(trailing)
        self._details = details
        self._end(status_code(code), reply)

    def failed(self, code: grpc.StatusCode, details: str) -> None:
        """The call ended on our side."""
        self._initial = self._trailing = None
        self._details = details
        self._end(code, b"")

    def settled(
        self,
        code: grpc.StatusCode,
        details: str,
        metadata: tuple[grpc.aio.Metadata, grpc.aio.Metadata],
        reply: bytes = b"",
    ) -> None:
        """The call ended as one that carried it over the ordinary path did."""
        self._initial, self._trailing = metadata
        self._details = details
        self._end(code, reply)

    def late(self) -> None:
        """The deadline has passed."""
        if not self.is_done:
            self.failed(_LATE, LATE_TEXT)

    def _end(self, code: grpc.StatusCode, reply: bytes) -> None:
        if self.pieces is not None:
            self.pieces.append(reply)
            reply, self.pieces = b"".join(self.pieces), None
        self._code = code
        self.reply = reply
        self._response = _UNREAD
        self.is_done = True
        if self.observe is not None and self.began:
            self.observe(time.monotonic() - self.began)
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)
        if self._callbacks:
            loop = asyncio.get_running_loop()
            for callback in self._callbacks:
                loop.call_soon(callback, self)

    # What callers see: the interface of grpc.aio.

    def __await__(self) -> Generator[Any, None, Any]:
        if not self.is_done:
            yield from self._wait()
        if self._code is not _OK:
            self._raise()
        if self._response is _UNREAD:
            self._read()
        return self._response

    def _wait(self) -> Generator[Any, None, None]:
        future = self._future
        if future is None:
            loop = self.loop or asyncio.get_running_loop()
            future = self._future = loop.create_future()
        try:
            yield from future
        except asyncio.CancelledError:
            self.cancel()
            raise

    def _read(self) -> None:
        if self.deserialize is None:
            self._response = self.reply
            return
        try:
            self._response = self.deserialize(self.reply)
        except Exception as error:  # noqa: BLE001 - any reader may be given
            self._code, self._details = grpc.StatusCode.INTERNAL, _NOT_READ
            self._raise(error)

    def cancel(self) -> bool:
        """Give the call up; False when it has ended already."""
        if self.is_done:
            return False
        self.failed(_CANCELLED, CANCELLED_BY_US)
        if self.holder is not None:
            self.holder.cancelled(self)
        return True

    def time_remaining(self) -> float | None:
        """Seconds left; None when there is no deadline."""
        left = self.due - time.monotonic()
        return None if left == float("inf") else max(0.0, left)

    async def wait_for_connection(self) -> None:
        """Return once the lane stands that the call goes by, or else once it has ended.

        Raises:
            grpc.aio.AioRpcError: it has ended, and not well.
        """
        ending: asyncio.Future[None] | None = None
        while not self.is_done:
            connected = self.holder.connected if self.holder is not None else None
            if connected is not None and connected.done():
                return
            ending = ending or self._ending()
            marks = [mark for mark in (connected, ending) if mark is not None]
            await asyncio.wait(marks, return_when=asyncio.FIRST_COMPLETED)
        if self._code is not _OK:
            self._raise()


def _metadata(pairs: Pairs) -> grpc.aio.Metadata | None:
    return grpc.aio.Metadata(*unpack(pairs)) if pairs else None


grpc.aio.UnaryUnaryCall.register(UnaryCall)
