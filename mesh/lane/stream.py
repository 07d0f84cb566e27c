"""Carries lanes over a gRPC stream, where nothing but gRPC passes.

One reader and one writer at each end. A stream is routed once, when it starts: a lane is
opened to one concrete address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Final

import grpc

from mesh.lane.carrier import Session
from mesh.lane.client import ClientLane
from mesh.lane.frames import MAX_BATCH, LaneError, NotServedError

METHOD: Final = "/engine.mesh.v1.Lane/Open"
"""A bidirectional stream of batches as bytes."""
CLOSED: Final = "the stream was closed"
CLOSE_S: Final = 1.0
"""How long a stream that was closed on our side may take to end."""


class StreamCarrier:
    """The sending side of a lane over a stream, as a session sees it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._awake = asyncio.Event()
        self._is_closing = False
        self._is_aborted = False
        self.task: asyncio.Task[Any] | None = None
        """What serves the stream; cancelled when a peer does not read what was sent at last."""

    def wake(self) -> None:
        """Send soon what is there."""
        self._awake.set()

    def flush(self) -> None:
        """Send what is there, as soon as the stream takes it."""
        self._awake.set()

    def close(self) -> None:
        """Send what is there, and close."""
        self._awake.set()
        if not self._is_closing:
            self._is_closing = True
            loop = asyncio.get_running_loop()
            loop.call_later(CLOSE_S, self._give_up, context=Context())

    def _give_up(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def abort(self) -> None:
        """Close at once."""
        self._is_aborted = True
        self.close()

    async def batches(self) -> AsyncIterator[bytes]:
        """What is to be written, until the lane is closed."""
        session = self._session
        while True:
            while session.pending and not self._is_aborted:
                yield session.take()
            if self._is_closing:
                return
            await self._awake.wait()
            self._awake.clear()

    async def read(self, stream: AsyncIterator[bytes]) -> LaneError:
        """Feed the session until the stream ends; answers why it did."""
        try:
            async for batch in stream:
                if len(batch) > self._session.max_batch:
                    raise LaneError(f"a batch of {len(batch)} bytes is too long")  # noqa: TRY301
                if batch:
                    self._session.feed(batch)
        except LaneError as error:
            self._session.fail(error)
            return error
        return LaneError(CLOSED)


def carry(lane: ClientLane, channel: grpc.aio.Channel) -> asyncio.Task[None]:
    """Carry `lane` over a stream of `channel`; the task lasts as long as the stream.

    `lane.opened` tells whether the server took it: UNIMPLEMENTED becomes a `LaneError`.
    """
    call: Any = channel.stream_stream(METHOD)(wait_for_ready=False)
    carrier = StreamCarrier(lane)
    lane.attach(carrier)
    carrier.task = asyncio.create_task(_run(lane, carrier, call), name="lane stream")
    return carrier.task


async def _run(lane: ClientLane, carrier: StreamCarrier, call: Any) -> None:
    """Read and write until either ends, and tell the lane."""
    error = LaneError(CLOSED)
    reader = asyncio.create_task(carrier.read(call))
    writer = asyncio.create_task(_write(carrier, call))
    try:
        await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        if not reader.done():  # we have closed it, or cannot write: the server says why
            await asyncio.wait((reader,), timeout=CLOSE_S)
        error = _ending(reader, writer)
    finally:
        reader.cancel()
        writer.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)
        call.cancel()
        lane.detached(carrier, error)


def _ending(reader: asyncio.Task[LaneError], writer: asyncio.Task[None]) -> LaneError:
    """Why a stream has ended: as the server says, or else what kept us from writing."""
    if not reader.done():
        failed = writer.exception()
        return LaneError(f"the stream cannot be written: {failed}" if failed else CLOSED)
    failed = reader.exception()
    if not isinstance(failed, grpc.aio.AioRpcError):
        return LaneError(str(failed)) if failed else reader.result()
    kind = NotServedError if failed.code() is grpc.StatusCode.UNIMPLEMENTED else LaneError
    return kind(f"the stream ended with {failed.code().name}: {failed.details()}")


async def _write(carrier: StreamCarrier, call: Any) -> None:
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader learns why
        await call.write(b"")  # a server that answers whatever it is asked can do so
        async for batch in carrier.batches():
            await call.write(batch)
        await call.done_writing()


class StreamListener(grpc.GenericRpcHandler):
    """Takes lanes that come as streams of a gRPC server.

    Args:
        open_lane: makes the server's end for a peer and what is proven of it.
    """

    def __init__(self, open_lane: Callable[[str, Any], Any]) -> None:
        self._open_lane = open_lane
        self._handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            self._serve
        )

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handler if details.method == METHOD else None

    async def _serve(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        try:
            lane = self._open_lane(context.peer(), context.auth_context())
        except LaneError as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        carrier = StreamCarrier(lane)
        carrier.task = task = asyncio.current_task()
        assert task is not None
        reader = asyncio.create_task(_read_to_end(carrier, requests))
        reader.add_done_callback(_retrieve)

        def over(_: asyncio.Task[Any]) -> None:
            reader.cancel()
            lane.detached(carrier, LaneError(CLOSED))

        # Whoever iterates us may be cancelled while we are not running: then no `finally` of
        # ours is reached before the garbage collector finds us.
        task.add_done_callback(over)
        lane.attach(carrier)
        async for batch in carrier.batches():
            yield batch


def _retrieve(reader: asyncio.Task[None]) -> None:
    """Look at how it ended: nobody else does."""
    if not reader.cancelled():
        reader.exception()


async def _read_to_end(carrier: StreamCarrier, requests: AsyncIterator[bytes]) -> None:
    try:
        await carrier.read(requests)
    finally:
        carrier.close()


assert MAX_BATCH < 4 << 20, "a batch must pass as one message of gRPC"
