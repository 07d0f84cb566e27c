"""The calls of a fake: what grpc.aio's calls offer, without a network.

A call is one task that asks the answer's maker; deadline and cancellation end it as they
would end a handler. Exceptions that are no refusal of a service - a failed assertion in a
callable, a message of the wrong type - are mistakes of the test and raised as they are.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing
from typing import Any, Final, Self

import grpc
from google.protobuf.message import Message

from mesh.errors import MeshError, MeshReason
from mesh.testing._errors import failure, rpc_error
from mesh.testing._requests import Requests

LOCALLY: Final = "Locally cancelled by application!"
"""What grpc.aio says of a call that its caller cancelled."""

AHEAD: Final = 16
"""Answers of a stream that are made before somebody reads them."""


class _Call(ABC):
    """What all kinds of calls have."""

    def __init__(self, answers: AsyncGenerator[Message], timeout: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = None if timeout is None else self._loop.time() + timeout
        self._error: grpc.aio.AioRpcError | None = None
        self._is_cancelled = False
        self._task = self._loop.create_task(self._run(answers))

    async def _run(self, answers: AsyncGenerator[Message]) -> None:
        try:
            async with asyncio.timeout_at(self._until) as limit, aclosing(answers):
                async for answer in answers:
                    await self._take(answer)
        except TimeoutError:
            if not limit.expired():
                raise
            self._error = rpc_error(MeshError(MeshReason.DEADLINE_EXCEEDED))
        except (MeshError, grpc.RpcError) as error:
            self._error = rpc_error(error)
            if self._error is None:
                raise

    @abstractmethod
    async def _take(self, answer: Message) -> None:
        """Keep an answer for who waits for it; a stream waits while many are unread."""

    async def _ended(self) -> grpc.aio.AioRpcError | None:
        """Wait for the end, and answer the error that it ended with."""
        await asyncio.wait({self._task})
        if self._is_cancelled or self._task.cancelled():
            return failure(grpc.StatusCode.CANCELLED, message=LOCALLY)
        self._task.result()
        return self._error

    async def _raise_for_status(self) -> None:
        error = await self._ended()
        if self.cancelled():
            raise asyncio.CancelledError
        if error is not None:
            raise error

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        error = await self._ended()
        return grpc.aio.Metadata() if error is None else error.trailing_metadata()

    async def code(self) -> grpc.StatusCode:
        error = await self._ended()
        return grpc.StatusCode.OK if error is None else error.code()

    async def details(self) -> str:
        error = await self._ended()
        return "" if error is None else error.details() or ""

    async def wait_for_connection(self) -> None:  # noqa: B027 - there is none to wait for
        """Return at once: there is nothing to connect to."""

    def cancel(self) -> bool:
        if self.done():
            return False
        self._is_cancelled = True
        self._task.cancel()
        return True

    def cancelled(self) -> bool:
        return self._is_cancelled or self._task.cancelled()

    def done(self) -> bool:
        return self._is_cancelled or self._task.done()

    def time_remaining(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - self._loop.time())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._task.add_done_callback(lambda _: callback(self))


class _OneAnswer(_Call):
    """A call that is awaited."""

    _answer: Message

    async def _take(self, answer: Message) -> None:
        self._answer = answer

    def __await__(self) -> Generator[Any, None, Message]:
        return self._awaited().__await__()

    async def _awaited(self) -> Message:
        try:
            await self._raise_for_status()
        except asyncio.CancelledError:
            self.cancel()
            raise
        return self._answer


class _ManyAnswers(_Call):
    """A call that is iterated, or read."""

    def __init__(self, answers: AsyncGenerator[Message], timeout: float | None) -> None:
        self._room = asyncio.Semaphore(AHEAD)
        self._made: asyncio.Queue[Any] = asyncio.Queue()
        super().__init__(answers, timeout)
        self._task.add_done_callback(lambda _: self._made.put_nowait(grpc.aio.EOF))

    async def _take(self, answer: Message) -> None:
        await self._room.acquire()
        self._made.put_nowait(answer)

    async def read(self) -> Any:
        try:
            answer = await self._made.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if answer is not grpc.aio.EOF:
            self._room.release()
            return answer
        self._made.put_nowait(grpc.aio.EOF)  # for whoever reads on
        await self._raise_for_status()
        return grpc.aio.EOF

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (answer := await self.read()) is not grpc.aio.EOF:
            yield answer


class _ManyRequests(_Call):
    """A call whose requests are written, or taken from an iterator."""

    _requests: Requests

    def over(self, requests: Requests) -> Self:
        """The call, with `requests` to be written to it."""
        self._requests = requests
        return self

    async def write(self, request: Message) -> None:
        if self.done():
            raise asyncio.InvalidStateError("the call has ended")
        self._requests.write(request)

    async def done_writing(self) -> None:
        self._requests.end()


class UnaryUnary(_OneAnswer, grpc.aio.UnaryUnaryCall[Any, Any]):
    """One request, one answer."""


class UnaryStream(_ManyAnswers, grpc.aio.UnaryStreamCall[Any, Any]):
    """One request, many answers."""


class StreamUnary(_ManyRequests, _OneAnswer, grpc.aio.StreamUnaryCall[Any, Any]):
    """Many requests, one answer."""


class StreamStream(_ManyRequests, _ManyAnswers, grpc.aio.StreamStreamCall[Any, Any]):
    """Many requests, many answers."""
