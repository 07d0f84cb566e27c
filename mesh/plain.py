"""The plain gRPC channel to one endpoint: what streams and large requests go by."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any, Final

import grpc

from mesh.lane.dial import Tls
from mesh.plain_call import PlainMethod, UnderWay

FORMER_S: Final = 30.0
"""How long calls may still take on a connection that two newer certificates have replaced."""

Options = tuple[tuple[str, Any], ...]


class PlainChannel:
    """Opened when first asked for, and anew once the certificate was renewed or the server lost.

    After a renewal the channel before it stays for the calls that it carries, until the next.

    Args:
        address: "host:port", or "unix:/path", which needs no TLS.
        options: of gRPC.
        tls: what is shown to other hosts; None: nothing is.
    """

    def __init__(self, address: str, options: Options, tls: Tls | None) -> None:
        self._address = address
        self._options = options
        self._tls = None if address.startswith("unix:") else tls
        self._version = 0
        self._former: grpc.aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._bound: dict[Any, PlainMethod] = {}
        self._under_way = UnderWay()
        self.opened: grpc.aio.Channel | None = None
        """The newest one; None before the first was asked for."""

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel for a call that begins now."""
        if self.opened is None or (self._tls is not None and self._tls.version != self._version):
            return self._open()
        return self.opened

    @property
    def is_busy(self) -> bool:
        """Whether calls of bound methods are under way."""
        return bool(self._under_way)

    def bound(self, kind: str, path: str, serializers: tuple[Any, ...]) -> PlainMethod:
        """A method of the channel, bound once."""
        channel = self.channel
        key = (kind, path, serializers)
        found = self._bound.get(key)
        if found is None:
            method = getattr(channel, kind)(path, *serializers, _registered_method=False)
            found = self._bound[key] = PlainMethod(kind, method, self._under_way)
        return found

    def lost(self, reason: str) -> None:
        """The server is there no more: calls of bound methods end as UNAVAILABLE.

        The next call has a connection of its own.
        """
        for channel in (self._former, self.opened):
            if channel is not None:
                self._close_later(channel, None)
        self._former = self.opened = None
        self._bound.clear()
        self._under_way.lost(reason)  # at last: who is told may call again at once

    async def close(self, grace_s: float | None) -> None:
        """Let calls end for `grace_s` seconds, then give them up."""
        channels = [one for one in (self.opened, self._former) if one is not None]
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.gather(*(one.close(grace_s) for one in channels))

    def _open(self) -> grpc.aio.Channel:
        former, self._former = self._former, self.opened
        if former is not None:
            self._close_later(former, FORMER_S)
        self._bound.clear()
        if self._tls is None:
            self.opened = grpc.aio.insecure_channel(self._address, options=self._options)
        else:
            self._version = self._tls.version
            credentials = self._tls.channel_credentials()
            self.opened = grpc.aio.secure_channel(self._address, credentials, self._options)
        return self.opened

    def _close_later(self, channel: grpc.aio.Channel, grace_s: float | None) -> None:
        task = Context().run(asyncio.ensure_future, channel.close(grace_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
