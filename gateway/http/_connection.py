"""One connection: requests are read ahead, answered one after another, in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

from gateway.errors import GatewayReason
from gateway.http._message import Handler, Request, Response
from gateway.http._reader import RequestReader
from gateway.http._writer import CONTINUE, encode, rest
from mesh.errors import MeshError, MeshReason
from mesh.log import get_logger

MAX_PIPELINED: Final = 16
"""Requests read ahead on one connection; above that it is not read from."""

MIN_BYTES_PER_S: Final = 16 << 10
"""What a request must keep up while it arrives, beside the fixed time it has."""

LINGER_S: Final = 1.0
"""How long a closing connection is still drained, so that the last answer is not lost."""

Refuse = Callable[[MeshError], Response]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a server. Sizes in bytes; see `mesh.settings` for what each means."""

    max_head: int = 32 << 10
    max_body: int = 4 << 20
    max_connections: int = 10_000
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the connections of one listener have in common."""

    handler: Handler
    refuse: Refuse
    limits: Limits
    open: set[Connection] = field(default_factory=set)
    draining: bool = False
    emptied: asyncio.Event = field(default_factory=asyncio.Event)


class Connection(asyncio.Protocol):
    """The server's side of one connection.

    At most one task runs: it answers the waiting requests and ends with them. It
    is cancelled when the client leaves. One timer serves all time-outs.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._waiting: deque[Request | MeshError] = deque()
        self._unread = b""
        self._deaf = False  # nothing that arrives now is read any more
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None  # exists while the client reads slowly
        self._unsent = 0
        self._partial = False
        self._answered = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        limits = self._shared.limits
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        peer = self._transport.get_extra_info("peername")
        client = peer[0] if isinstance(peer, tuple) else ""
        self._reader = RequestReader(
            max_head=limits.max_head, max_body=limits.max_body, client=client
        )
        self._since = self._loop.time()
        first_look_s = min(limits.header_timeout_s, limits.idle_timeout_s)
        self._timer = self._loop.call_later(first_look_s, self._on_timer)
        self._shared.open.add(self)
        if len(self._shared.open) > limits.max_connections:
            self._refuse(MeshError(GatewayReason.TOO_MANY_CONNECTIONS, retry_after_s=1.0))

    def data_received(self, data: bytes) -> None:
        if not self._deaf:
            self._unread += data
            self._read()

    def eof_received(self) -> None:
        self._stop()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._stop()
        self._timer.cancel()
        self._shared.open.discard(self)
        if not self._shared.open:
            self._shared.emptied.set()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()
        self._unsent = self._transport.get_write_buffer_size()
        self._since = self._loop.time()
        self._arm(self._since + self._shared.limits.idle_timeout_s)

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # What the listener calls.

    def drain(self) -> None:
        """Answer what has arrived, then close."""
        self._deaf = True
        self._unread = b""
        if self._task is None:
            self._transport.close()

    def abort(self) -> None:
        """Close now; what is under way is cancelled."""
        self._transport.abort()

    # Reading.

    def _read(self) -> None:
        """Read requests until there are as many as may wait."""
        data = self._unread
        try:
            while data and not self._deaf and len(self._waiting) < MAX_PIPELINED:
                request, data = self._reader.read(data)
                if request is not None:
                    self._partial = False
                    self._waiting.append(request)
                    self._deaf = not request.keep_alive
        except MeshError as error:
            self._refuse(error)
        self._unread = b"" if self._deaf else data
        if self._unread:
            self._transport.pause_reading()
        self._work()
        self._watch_arrival()

    def _refuse(self, error: MeshError) -> None:
        """Answer with an error after what waits; it is the last answer."""
        self._deaf = True
        self._waiting.append(error)
        self._work()

    def _work(self) -> None:
        if self._task is None and self._waiting:
            self._task = self._loop.create_task(self._answer_all())

    def _watch_arrival(self) -> None:
        """Start the clock of a request that has not arrived wholly."""
        begun = self._reader.received > 0 and not self._deaf
        if begun and not self._partial:
            self._since = self._loop.time()
            self._arm(self._since + self._shared.limits.header_timeout_s)
        self._partial = begun
        if begun and self._task is None and self._reader.take_continue():
            self._transport.write(CONTINUE)

    # Answering.

    async def _answer_all(self) -> None:
        while self._waiting:
            message = self._waiting.popleft()
            response = await self._response(message)
            last = self._deaf and not self._waiting
            begun = self._write(message, response, last=last)
            if self._writable is not None:
                await self._writable
            if begun and not _is_head(message) and not await self._write_rest(response):
                self._transport.abort()
                return
            if last:
                self._finish()
                return
            if self._unread:
                self._transport.resume_reading()
                self._read()
            if self._waiting:
                await asyncio.sleep(0)  # a long pipeline must not hold up other connections
        self._task = None
        self._answered = True
        self._since = self._loop.time()
        self._watch_arrival()

    async def _response(self, message: Request | MeshError) -> Response:
        if isinstance(message, MeshError):
            return self._shared.refuse(message)
        try:
            return await self._shared.handler(message)
        except Exception as error:  # noqa: BLE001 - the outermost boundary
            return self._failed(error)

    def _write(self, message: Request | MeshError, response: Response, *, last: bool) -> bool:
        """Write a response; False when it could not be said and another one stands for it."""
        head_only = _is_head(message)
        now = int(time.time())
        encoded = partial(encode, now=now, close=last, head_only=head_only)
        try:
            self._transport.write(encoded(response))
        except ValueError as error:
            self._transport.write(encoded(self._failed(error)))
            return False
        return True

    async def _write_rest(self, response: Response) -> bool:
        """Write what follows the beginning of a body; False when the client must be cut off."""
        try:
            async with aclosing(rest(response)) as pieces:
                async for piece in pieces:
                    self._transport.write(piece)
                    if self._writable is not None:
                        await self._writable
        except Exception as error:  # noqa: BLE001 - the outermost boundary
            _log.warning("http_body_cut_short", error=type(error).__name__, exc_info=error)
            return False
        return True

    def _failed(self, error: Exception) -> Response:
        _log.error("http_handler_failed", error=type(error).__name__, exc_info=error)
        return self._shared.refuse(MeshError(MeshReason.INTERNAL))

    # Ending.

    def _finish(self) -> None:
        """Close for writing, and wholly when the client does or when it takes too long.

        Closing with bytes unread would reset the connection, and the client might
        lose the answer.
        """
        self._closing = True
        self._since = self._loop.time()
        self._arm(self._since + LINGER_S)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _stop(self) -> None:
        """The client has left."""
        self._deaf = True
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    # Time.

    def _arm(self, when: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        if self._writable is not None and self._transport.get_write_buffer_size() < self._unsent:
            self._unsent = self._transport.get_write_buffer_size()
            self._since = self._loop.time()  # the client is slow, but it reads
        due = self._due()
        if self._loop.time() < due:
            self._arm(due)
        elif self._partial and self._task is None:
            self._refuse(MeshError(GatewayReason.REQUEST_TIMEOUT))
            self._arm(due + self._shared.limits.idle_timeout_s)
        else:
            self._transport.abort()

    def _due(self) -> float:
        """When the present state has lasted too long."""
        limits = self._shared.limits
        if self._closing:
            return self._since + LINGER_S
        if self._writable is not None:
            return self._since + limits.idle_timeout_s
        if self._task is not None:
            return self._loop.time() + limits.idle_timeout_s
        if self._partial:
            allowed = self._reader.received / MIN_BYTES_PER_S
            return self._since + limits.header_timeout_s + allowed
        return self._since + (limits.idle_timeout_s if self._answered else limits.header_timeout_s)


def _is_head(message: Request | MeshError) -> bool:
    return isinstance(message, Request) and message.method == "HEAD"
