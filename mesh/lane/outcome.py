"""How a call on a lane ended: what may be asked of it, before that and after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc
from msgspec import Struct

_OK: Final = grpc.StatusCode.OK
_CANCELLED: Final = grpc.StatusCode.CANCELLED

CANCELLED_BY_US: Final = "Locally cancelled by application!"


class Outcome(Struct, eq=False, kw_only=True):
    """The part of `grpc.aio.Call` that tells of the end; a call sets its fields itself.

    Whoever waits here may be cancelled without harm to the call.
    """

    path: str
    is_done: bool = False
    _code: grpc.StatusCode = _OK
    _details: str = ""
    _initial: grpc.aio.Metadata | None = None
    _trailing: grpc.aio.Metadata | None = None
    _callbacks: list[Callable[[Any], None]] | None = None

    def cancelled(self) -> bool:
        """Whether it ended by being cancelled."""
        return self.is_done and self._code is _CANCELLED

    def done(self) -> bool:
        """Whether it has ended."""
        return self.is_done

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback` with this call once it has ended."""
        if self.is_done:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    async def _until_done(self) -> None:
        """Wait until it has ended; whoever waits may be cancelled without harm to the call."""
        if not self.is_done:
            await self._ending()

    def _ending(self) -> asyncio.Future[None]:
        """Done once the call has ended."""
        ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ended(_: Any) -> None:
            if not ending.done():  # who waited may have been cancelled
                ending.set_result(None)

        self.add_done_callback(ended)
        return ending

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """What the server sent first; waits for the answer."""
        await self._until_done()
        return self._initial or grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """What the server sent last; waits for the answer."""
        await self._until_done()
        return self._trailing or grpc.aio.Metadata()

    async def code(self) -> grpc.StatusCode:
        """How it ended; waits for that."""
        await self._until_done()
        return self._code

    async def details(self) -> str:
        """The message of the status; waits for the end."""
        await self._until_done()
        return self._details

    async def debug_error_string(self) -> str:
        """For developers; waits for the end."""
        await self._until_done()
        return "" if self._code is _OK else self._debug()

    def _raise(self, cause: BaseException | None = None) -> None:
        if self._code is _CANCELLED and self._details == CANCELLED_BY_US:
            raise asyncio.CancelledError
        raise grpc.aio.AioRpcError(
            self._code,
            self._initial or grpc.aio.Metadata(),
            self._trailing or grpc.aio.Metadata(),
            details=self._details,
            debug_error_string=self._debug(),
        ) from cause

    def _debug(self) -> str:
        return f"lane: {self.path} ended with {self._code.name}: {self._details}"
