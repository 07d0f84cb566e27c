"""Opens a lane to one endpoint, over the first carrier that reaches it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import grpc

from mesh.lane.client import ClientLane
from mesh.lane.frames import LaneError, NotServedError, RefusedError
from mesh.lane.hello import HELLO_S
from mesh.lane.socket import ALPN, SocketCarrier, refuse_other_users
from mesh.lane.stream import carry

UNIX: Final = "unix"
TLS: Final = "tls"
STREAM: Final = "stream"
CARRIERS: Final = (UNIX, TLS, STREAM)
"""All kinds of carriers, cheapest first."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one process of a service is reached.

    Args:
        address: its ordinary gRPC address, "host:port" or "unix:/path".
        lanes: where it takes lanes over sockets, best first: "unix:/path" or
            "tls:host:port". Over a gRPC stream it may take them at `address`.
    """

    address: str
    lanes: tuple[str, ...] = ()


class Tls(Protocol):
    """What is shown to other hosts, and who is believed; asked for each connection."""

    @property
    def version(self) -> int:
        """Another one after each renewal."""

    def client_context(self) -> ssl.SSLContext:
        """For a lane over a TLS socket."""

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For an ordinary channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an endpoint may be dialled: the carriers allowed, and TLS for other hosts."""

    carriers: tuple[str, ...] = CARRIERS
    tls: Tls | None = None


def can_dial(endpoint: Endpoint, way: Way) -> bool:
    """Whether there is any way to open a lane to an endpoint."""
    kinds = {address.partition(":")[0] for address in endpoint.lanes} | {STREAM}
    return not kinds.isdisjoint(way.carriers)


async def dial(
    lane: ClientLane, endpoint: Endpoint, way: Way, ordinary: Callable[[], grpc.aio.Channel]
) -> None:
    """Connect `lane`, and return once it is open.

    Args:
        lane: not yet open; it may hold calls already.
        endpoint: whom to reach.
        way: what may be used for it.
        ordinary: the channel to the endpoint's ordinary address, for a stream.

    Raises:
        NotServedError: the endpoint has no lanes.
        LaneError: no carrier reached it; the text says why.
    """
    problems: list[str] = []
    for where, connect in _attempts(lane, endpoint, way, ordinary):
        try:
            await _attempt(lane, connect)
        except (NotServedError, RefusedError):
            raise
        except (LaneError, OSError, TimeoutError, ValueError) as error:
            problems.append(f"{where}: {error or type(error).__name__}")
        else:
            return
    raise LaneError("; ".join(problems))


def _attempts(
    lane: ClientLane, endpoint: Endpoint, way: Way, ordinary: Callable[[], grpc.aio.Channel]
) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
    for address in endpoint.lanes:
        kind, _, where = address.partition(":")
        if kind == UNIX and UNIX in way.carriers:
            yield address, partial(_connect_unix, lane, where)
        elif kind == TLS and TLS in way.carriers and way.tls is not None:
            yield address, partial(_connect_tls, lane, where, way.tls.client_context())
    if STREAM in way.carriers:
        yield endpoint.address, partial(_connect_stream, lane, ordinary)


async def _attempt(lane: ClientLane, connect: Callable[[], Awaitable[None]]) -> None:
    """Connect by one carrier, within the time for it; what came of a failed one is closed."""
    lane.opened = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.timeout(HELLO_S):
            await connect()
            await lane.opened
    except BaseException:
        lane.reset()
        raise


async def _connect_unix(lane: ClientLane, path: str) -> None:
    lane.listener = os.path.realpath(path)  # noqa: ASYNC240 - a few system calls

    def session(transport: asyncio.Transport) -> ClientLane:
        refuse_other_users(transport)
        return lane

    loop = asyncio.get_running_loop()
    _, carrier = await loop.create_unix_connection(lambda: SocketCarrier(session), path)
    carrier.check()


async def _connect_tls(lane: ClientLane, where: str, tls: ssl.SSLContext) -> None:
    lane.listener = ""
    host, _, port = where.rpartition(":")

    def session(transport: asyncio.Transport) -> ClientLane:
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
            raise LaneError(f"{where} does not speak {ALPN}")
        return lane

    loop = asyncio.get_running_loop()
    _, carrier = await loop.create_connection(
        lambda: SocketCarrier(session), host.strip("[]"), int(port), ssl=tls
    )
    carrier.check()


async def _connect_stream(lane: ClientLane, ordinary: Callable[[], grpc.aio.Channel]) -> None:
    lane.listener = ""
    carry(lane, ordinary())
