"""Fakes for stubs on a blocking channel: the same calls, waited for in a loop of their own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc

from mesh.testing import _calls
from mesh.testing._answers import Answer
from mesh.testing._fake import FakeChannel, Method, Stub, of_channel


def blocking_fake(stub: Callable[[grpc.Channel], Stub], answers: Mapping[str, Answer]) -> Stub:
    """As `fake`, for code that blocks: scripts, threads, Django.

    Methods are called as `stub.GetCustomer(request)`; a stream of answers is an iterator.
    There is neither `future` nor `with_call`. Errors are `grpc.RpcError`s.

    Raises:
        AttributeError: the stub has no method of that name.
        TypeError: an answer is none that the contract allows.
        RuntimeError: from a call, when a loop runs in this thread: it would be blocked.
    """
    return of_channel(stub, _BlockingChannel(answers), answers)


class _BlockingChannel(FakeChannel):
    def unary_unary(self, path: str, *_: Any, **__: Any) -> Method:
        return _One(self, path, _calls.UnaryUnary)

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Method:
        return _Many(self, path, _calls.UnaryStream)

    def stream_unary(self, path: str, *_: Any, **__: Any) -> Method:
        return _One(self, path, _calls.StreamUnary)

    def stream_stream(self, path: str, *_: Any, **__: Any) -> Method:
        return _Many(self, path, _calls.StreamStream)


class _Blocking(Method, ABC):
    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        *,
        credentials: grpc.CallCredentials | None = None,  # noqa: ARG002 - as the next two,
        wait_for_ready: bool | None = None,  # noqa: ARG002 - nothing to a call without
        compression: grpc.Compression | None = None,  # noqa: ARG002 - a network
    ) -> Any:
        _refuse_within_a_loop()
        return self._answers(self.prepared(request, timeout, metadata))

    @abstractmethod
    def _answers(self, begin: Callable[[], Any]) -> Any:
        """What a method answers: the one answer, or an iterator of them."""


class _One(_Blocking):
    """One answer, which is waited for."""

    def _answers(self, begin: Callable[[], Any]) -> Any:
        async def awaited() -> Any:
            return await begin()

        with asyncio.Runner() as runner:
            return runner.run(awaited())


class _Many(_Blocking):
    """Many answers, made as they are asked for."""

    def _answers(self, begin: Callable[[], Any]) -> Iterator[Any]:
        async def begun() -> Any:
            return begin()

        with asyncio.Runner() as runner:
            call = runner.run(begun())
            while (answer := runner.run(call.read())) is not grpc.aio.EOF:
                yield answer


def _refuse_within_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("a blocking call would block the running event loop: use fake")
