"""Accepts connections, and ends them gracefully."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from gateway.http._connection import Connection, Limits, Refuse, Shared
from gateway.http._message import Handler

BACKLOG: Final = 1024


class Listener:
    """An HTTP/1.1 server, as an async context manager.

    Entering returns once it accepts connections, and raises OSError when the
    address is taken. Leaving stops accepting, lets the requests under way finish
    for `drain_s` seconds, each answered with "Connection: close", and cancels
    what is left.

    Args:
        handler: answers requests.
        refuse: makes the answer to what the server itself refuses.
        host: address to listen on.
        port: port to listen on; 0 picks one.
        share_port: whether other processes may listen there, too; the system spreads new
            connections over them.
        limits: bounds.
        drain_s: seconds that requests under way may take when it stops.
    """

    def __init__(
        self,
        handler: Handler,
        refuse: Refuse,
        *,
        host: str,
        port: int,
        share_port: bool = False,
        limits: Limits | None = None,
        drain_s: float = 10.0,
    ) -> None:
        self._shared = Shared(handler=handler, refuse=refuse, limits=limits or Limits())
        self._host = host
        self._port = port
        self._share_port = share_port
        self._drain_s = drain_s

    @property
    def address(self) -> str:
        """Where it listens, "host:port"; once entered."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def draining(self) -> bool:
        """Whether it has stopped accepting."""
        return self._shared.draining

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._shared.open)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._shared),
            self._host,
            self._port,
            backlog=BACKLOG,
            reuse_port=self._share_port or None,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shared.draining = True
        self._server.close()
        for connection in tuple(self._shared.open):
            connection.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self._emptied()
        for connection in tuple(self._shared.open):
            connection.abort()
        await self._emptied()
        await self._server.wait_closed()

    async def _emptied(self) -> None:
        while self._shared.open:
            self._shared.emptied.clear()
            await self._shared.emptied.wait()
