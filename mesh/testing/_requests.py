"""The requests of a call to a fake whose client streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import Message

from mesh.testing._contract import Shape

_END = object()


class Requests:
    """An async iterator of requests, each as a server gets it.

    Unbounded: `seen` keeps what was written anyway, for the test to look at.

    Args:
        shape: the method.
        given: where the requests come from, an iterable or async iterable; None: from `write`.
    """

    def __init__(self, shape: Shape, given: Any) -> None:
        self._shape = shape
        self._given = given
        self._written: asyncio.Queue[Any] = asyncio.Queue()
        self._has_ended = False
        self.seen: list[Message] = []
        """The requests so far."""

    def write(self, request: object) -> None:
        """Send a request.

        Raises:
            TypeError: it is none of the method.
            grpc.aio.UsageError: the requests come from an iterator.
            asyncio.InvalidStateError: the stream was ended before.
        """
        self._refuse_both()
        if self._has_ended:
            raise asyncio.InvalidStateError("done_writing was called before")
        self._written.put_nowait(self._noted(request))

    def end(self) -> None:
        """Send no more; once is enough."""
        self._refuse_both()
        if not self._has_ended:
            self._has_ended = True
            self._written.put_nowait(_END)

    async def __aiter__(self) -> AsyncIterator[Message]:
        if self._given is None:
            while (request := await self._written.get()) is not _END:
                yield request
        elif isinstance(self._given, AsyncIterable):
            async for request in self._given:
                yield self._noted(request)
        else:
            for request in self._given:
                yield self._noted(request)

    def _noted(self, request: object) -> Message:
        asked = self._shape.asked(request)
        self.seen.append(asked)
        return asked

    def _refuse_both(self) -> None:
        if self._given is not None:
            raise grpc.aio.UsageError("the requests of this call come from an iterator")
