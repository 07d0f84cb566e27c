"""A call over plain gRPC that ends when its server is found to be silent.

gRPC itself would leave it to its deadline, or cancel it.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Self

import grpc

_LOST: Final = grpc.StatusCode.UNAVAILABLE


class PlainCall:
    """A call of `grpc.aio`, and all that it offers; once it is lost it ended as UNAVAILABLE.

    Args:
        call: of `grpc.aio`.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._problem = ""
        self._waiting: set[asyncio.Task[Any]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __repr__(self) -> str:
        return self._debug() if self._problem else repr(self._call)

    def lost(self, reason: str) -> None:
        """Its server is there no more: end it, unless it has ended."""
        if self._call.done():
            return
        self._problem = f"The connection was lost: {reason}"
        for task in self._waiting:  # by itself gRPC does not wake who waits for a connection
            task.cancel()
        self._call.cancel()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback` with this call once it has ended."""
        self._call.add_done_callback(lambda _: callback(self))

    def cancelled(self) -> bool:
        """Whether it ended by being cancelled."""
        return not self._problem and self._call.cancelled()

    async def code(self) -> grpc.StatusCode:
        """How it ended; waits for that."""
        code: grpc.StatusCode = await self._call.code()
        return _LOST if self._problem else code

    async def details(self) -> str:
        """The message of the status; waits for the end."""
        details: str = await self._call.details()
        return self._problem or details

    async def debug_error_string(self) -> str:
        """For developers; waits for the end."""
        debug: str = await self._call.debug_error_string()
        return self._debug() if self._problem else debug

    async def wait_for_connection(self) -> None:
        """Wait as gRPC does."""
        await self._told(self._call.wait_for_connection)

    async def _told(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """What a step of the call answers; raises when the call is lost, then or before."""
        if self._problem:
            raise self._error()
        task = asyncio.current_task()
        assert task is not None, "calls are waited for in tasks"
        cancels = task.cancelling()
        self._waiting.add(task)
        try:
            return await step()
        except asyncio.CancelledError:
            if not self._problem or task.cancelling() > cancels + 1:  # by others than us
                raise
            raise self._error() from None
        finally:
            self._waiting.discard(task)
            if self._problem:
                task.uncancel()

    def _error(self) -> grpc.aio.AioRpcError:
        nothing = grpc.aio.Metadata()
        return grpc.aio.AioRpcError(_LOST, nothing, nothing, self._problem, self._debug())

    def _debug(self) -> str:
        return f"plain gRPC: ended with {_LOST.name}: {self._problem}"


class _OneReply(PlainCall):
    """The server answers once."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self._told(lambda: self._call).__await__()


class _Replies(PlainCall):
    """The server answers a stream."""

    _replies: Any = None

    def __aiter__(self) -> Self:
        self._replies = aiter(self._call)
        return self

    async def __anext__(self) -> Any:
        return await self._told(self._replies.__anext__)

    async def read(self) -> Any:
        """The next reply, or `grpc.aio.EOF`."""
        return await self._told(self._call.read)


class _Requests(PlainCall):
    """The client sends a stream."""

    async def write(self, request: Any) -> None:
        """Send one more request."""
        await self._told(lambda: self._call.write(request))

    async def done_writing(self) -> None:
        """Tell the server that no request follows."""
        if not self._problem:
            await self._told(self._call.done_writing)


@grpc.aio.UnaryUnaryCall.register
class _UnaryUnary(_OneReply):
    pass


@grpc.aio.UnaryStreamCall.register
class _UnaryStream(_Replies):
    pass


@grpc.aio.StreamUnaryCall.register
class _StreamUnary(_Requests, _OneReply):
    pass


@grpc.aio.StreamStreamCall.register
class _StreamStream(_Requests, _Replies):
    pass


_KINDS: Final = {
    "unary_unary": _UnaryUnary,
    "unary_stream": _UnaryStream,
    "stream_unary": _StreamUnary,
    "stream_stream": _StreamStream,
}


class UnderWay:
    """Calls that have not ended, and that somebody still has."""

    def __init__(self) -> None:
        self._calls: set[weakref.ref[PlainCall]] = set()

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: PlainCall) -> None:
        """Know a call until it ends."""
        calls = self._calls
        ref = weakref.ref(call, calls.discard)
        calls.add(ref)
        call._call.add_done_callback(lambda _: calls.discard(ref))  # noqa: SLF001 - not to be held

    def lost(self, reason: str) -> None:
        """End them all: their server is there no more."""
        for ref in [*self._calls]:
            if (call := ref()) is not None:
                call.lost(reason)


class PlainMethod:
    """A method of a plain channel, of which the calls under way are known."""

    def __init__(self, kind: str, method: Any, under_way: UnderWay) -> None:
        self._kind = _KINDS[kind]
        self._method = method
        self._under_way = under_way

    def __call__(self, *given: Any, **options: Any) -> PlainCall:
        call = self._kind(self._method(*given, **options))
        self._under_way.add(call)
        return call
