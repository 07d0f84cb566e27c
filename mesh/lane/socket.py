"""Carries lanes over sockets: Unix sockets between peers on one host, TLS between hosts."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextvars import Context
from typing import Final, cast

from mesh.lane.carrier import Session
from mesh.lane.frames import LaneError

LENGTH: Final = 4
ALPN: Final = "engine-lane/1"
CLOSE_S: Final = 2.0
"""How long a peer may take to read what was sent before the connection is closed."""


class SocketCarrier(asyncio.Protocol):
    """One connection; both ends use it.

    While a write is under way everything waits, and then goes out as few batches.

    Args:
        open_session: answers the end of the lane that the connection carries; it may
            refuse the peer by a `LaneError`.
    """

    def __init__(self, open_session: Callable[[asyncio.Transport], Session]) -> None:
        self._open_session = open_session
        self._session: Session | None = None
        self._loop = asyncio.get_running_loop()
        self._context = Context()
        self._transport: asyncio.Transport
        self._rest: bytes | bytearray = b""
        self._wanted = 0
        self._is_set = False
        self._is_paused = False
        self._is_closing = False
        self._closing: asyncio.TimerHandle | None = None
        self._error = LaneError("the connection was closed")

    def check(self) -> None:
        """Ask whether the connection, which stands, carries a lane.

        Raises:
            LaneError: the peer was refused; the text says why.
        """
        if self._session is None:
            raise self._error

    # The side of the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is its own
        try:
            self._session = self._open_session(transport)
        except LaneError as error:
            self._error = error
            self.abort()
        else:
            self._session.attach(self)

    def data_received(self, data: bytes | bytearray) -> None:
        session = self._session
        assert session is not None
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                session.heard()
                return
            data = self._rest
        self._read(session, data)

    def _read(self, session: Session, data: bytes | bytearray) -> None:
        """Feed the session the batches in `data`; what is left waits for its other part."""
        view, at, end, wanted = memoryview(data), 0, len(data), LENGTH
        self._rest = b""
        try:
            session.heard()
            while end - at >= LENGTH and not self._is_closing:
                stop = at + LENGTH + int.from_bytes(view[at : at + LENGTH], "little")
                if stop - at - LENGTH > session.max_batch:
                    raise LaneError(f"a batch of {stop - at - LENGTH} bytes is too long")  # noqa: TRY301
                if stop > end:
                    wanted = stop - at
                    break
                session.feed(view[at + LENGTH : stop])
                at = stop
        except LaneError as error:
            self._error = error
            session.fail(error)
            return
        if at < end and not self._is_closing:
            self._rest = bytearray(view[at:])  # grows in place, however small the next parts are
            self._wanted = wanted

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._flush()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        if self._closing is not None:
            self._closing.cancel()
        if error is not None:
            self._error = LaneError(f"the connection was lost: {error}")
        if self._session is not None:
            self._session.detached(self, self._error)

    # The side of the session.

    def wake(self) -> None:
        """Send soon what is there: with the next turn of the loop, all that comes until then."""
        if not self._is_set and not self._is_paused:
            self._is_set = True
            self._loop.call_soon(self._flush, context=self._context)

    def flush(self) -> None:
        """Send at once what is there."""
        if not self._is_paused:
            self._flush()

    def close(self) -> None:
        """Send what is there, and close."""
        if not self._is_closing:
            self._is_paused = False
            self._flush()
            self._is_closing = True
            self._transport.close()
            self._closing = self._loop.call_later(
                CLOSE_S, self._transport.abort, context=self._context
            )

    def abort(self) -> None:
        """Close at once."""
        self._is_closing = True
        self._transport.abort()

    def _flush(self) -> None:
        self._is_set = False
        session, transport = self._session, self._transport
        assert session is not None
        while session.pending and not self._is_paused and not self._is_closing:
            batch = session.take()
            transport.write(len(batch).to_bytes(LENGTH, "little") + batch)


def refuse_other_users(transport: asyncio.BaseTransport) -> None:
    """Speak with processes of our own user alone.

    Raises:
        LaneError: the peer's process is another user's.
    """
    peer: socket.socket = transport.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    if uid != os.geteuid():
        raise LaneError(f"the process at the other end is of user {uid}, not of {os.geteuid()}")
