"""A gRPC server that also takes lanes: the same handlers, by whichever way a call comes.

server = mesh.lane.server()
add_GreeterServicer_to_server(Greeter(), server)
server.add_insecure_port("127.0.0.1:50051")
server.add_lane_port("unix:/run/greeter/greeter.lane")
await server.start()
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import grpc

from mesh.lane.frames import NOT_HERE, WINDOW, LaneError
from mesh.lane.hello import HELLO_S, Check
from mesh.lane.ports import UNIX, Arrival, listen
from mesh.lane.server import ServerLane, Tap
from mesh.lane.serving import Admission, Method
from mesh.lane.socket import ALPN
from mesh.lane.stream import StreamListener
from mesh.lane.turns import Turns

MAX_LANES: Final = 4_096
"""Lanes that a server holds open; further clients are served plainly."""
MAX_KNOWN: Final = 4_096
"""Methods that are kept once they were found."""
LOOK_S: Final = 1.0
SILENT_S: Final = 90.0
"""A client that was not heard of for so long is gone: it would have asked us long before."""


def server(
    *,
    check: Check | None = None,
    window: int = WINDOW,
    admission: Admission | None = None,
    **options: Any,
) -> LaneServer:
    """A server like `grpc.aio.server(**options)`, which takes lanes as well.

    Args:
        check: proves the services that call; without it a caller that says who it is, is
            refused.
        window: calls that a client may have unanswered on one lane.
        admission: decides which calls over lanes begin.
        options: those of `grpc.aio.server`. `maximum_concurrent_rpcs` bounds the calls over
            lanes and, apart from these, the calls over plain gRPC.

    Raises:
        ValueError: there are interceptors, which would not see the calls over lanes.
    """
    if options.get("interceptors"):
        raise ValueError(
            "interceptors of grpc.aio do not see calls over lanes: use mesh.Server and its chain"
        )
    found = LaneServer(grpc.aio.server(**options), options, check=check, window=window)
    found.admission = admission
    return found


class LaneServer(grpc.aio.Server):
    """Serves over gRPC, and over lanes on streams, Unix and TLS sockets."""

    def __init__(
        self,
        plain: grpc.aio.Server,
        options: Mapping[str, Any],
        *,
        check: Check | None,
        window: int,
    ) -> None:
        self._plain = plain
        self._most = options.get("maximum_concurrent_rpcs") or float("inf")
        self._generic: list[grpc.GenericRpcHandler] = list(options.get("handlers") or ())
        self._registered: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._methods: dict[str, Method | int | None] = {}
        self._ports: list[tuple[str, ssl.SSLContext | None]] = []
        self._listeners: list[asyncio.Server] = []
        self._lanes: set[ServerLane] = set()
        self._taken = 0
        self._tap: Tap | None = None
        self._in_flight = 0
        self._is_idle = asyncio.Event()
        self.check = check
        self.window = window
        self.admission: Admission | None = None
        self.turns: Turns
        plain.add_generic_rpc_handlers((StreamListener(self._from_stream),))

    # The interface of grpc.aio.

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]
    ) -> None:
        handlers = tuple(generic_rpc_handlers)
        self._generic.extend(handlers)
        self._plain.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        for name, handler in method_handlers.items():
            self._registered[f"/{service_name}/{name}"] = handler
        self._plain.add_registered_method_handlers(service_name, method_handlers)

    def add_insecure_port(self, address: str) -> int:
        return self._plain.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        return self._plain.add_secure_port(address, server_credentials)

    def add_lane_port(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        """Take lanes at "unix:/path", or with `tls` at "host:port", once started.

        The folder of a Unix socket must belong to this user alone (0700).

        Raises:
            ValueError: TLS is missing, or given for a Unix socket.
        """
        if address.startswith(UNIX) == (tls is not None):
            raise ValueError(f"{address}: a Unix socket has no TLS, and any other needs it")
        if tls is not None:
            tls.set_alpn_protocols([ALPN])
        self._ports.append((address, tls))

    async def start(self) -> None:
        """Serve.

        Raises:
            OSError: an address of lanes is taken, or its folder open to others.
        """
        self.turns = Turns()
        try:
            for address, tls in self._ports:
                self._listeners.append(await listen(address, tls, self._take))
            await self._plain.start()
        except BaseException:
            await self.stop(None)
            raise
        self._watch = asyncio.create_task(self._drop_silent(), name="silent lanes")

    async def stop(self, grace: float | None) -> None:
        """Take no more calls; what was accepted may end within `grace` seconds."""
        for listener in self._listeners:
            listener.close()
        for lane in list(self._lanes):
            lane.go_away("the server stops")
        stopping = asyncio.ensure_future(self._plain.stop(grace))
        if self._lanes and grace:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._is_idle.wait()
        for lane in list(self._lanes):
            lane.abort()
        await stopping
        if hasattr(self, "_watch"):
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def wait_for_termination(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is grpc's
    ) -> bool:
        return await self._plain.wait_for_termination(timeout)

    @property
    def lane_ports(self) -> list[int]:
        """The TCP ports of lanes over TLS, in the order in which they were added."""
        names = [sock.getsockname() for s in self._listeners for sock in s.sockets]
        return [name[1] for name in names if isinstance(name, tuple)]

    @property
    def lanes(self) -> list[ServerLane]:
        """The lanes that are open, the oldest first."""
        opened = (lane for lane in self._lanes if lane.is_open)
        return sorted(opened, key=lambda lane: lane.number)

    @property
    def calls_under_way(self) -> int:
        """Calls over lanes that have begun and not ended."""
        return self._in_flight

    def show(self, tap: Tap | None) -> None:
        """Show all batches to `tap` from now on; None: to nobody."""
        self._tap = tap
        for lane in self._lanes:
            lane.tap = tap

    # What lanes ask.

    def find(self, path: str) -> Method | int | None:
        """A method by its path; found once, since all calls of a path have one handler."""
        if path not in self._methods:
            found = self._find(path)
            if found is None or len(self._methods) >= MAX_KNOWN:
                return found  # a stranger's paths are not kept
            self._methods[path] = found
        return self._methods[path]

    def begin(self) -> bool:
        """Count a call that begins."""
        if self._in_flight >= self._most:
            return False
        self._in_flight += 1
        return True

    def end(self) -> None:
        """Count a call that has ended."""
        self._in_flight -= 1

    def left(self, lane: ServerLane) -> None:
        """A lane is gone."""
        self._lanes.discard(lane)
        if not self._lanes:
            self._is_idle.set()

    def _find(self, path: str) -> Method | int | None:
        handler = self._registered.get(path)
        details = _Details(path)
        for generic in self._generic:
            handler = handler or generic.service(details)
        if handler is None:
            return None
        serve = handler.unary_unary
        if serve is None or not inspect.iscoroutinefunction(serve):
            return NOT_HERE
        read, write = handler.request_deserializer, handler.response_serializer
        gate = None if self.admission is None else self.admission.gate(path)
        return Method(serve, read, write, path, gate)

    # Lanes that come.

    def _from_stream(self, peer: str, auth_context: Mapping[str, Sequence[bytes]]) -> ServerLane:
        return self._take(Arrival("stream", peer, auth_context=auth_context))

    def _take(self, arrival: Arrival) -> ServerLane:
        """Take a client in, which has a while to say hello.

        Raises:
            LaneError: there are too many lanes already.
        """
        if len(self._lanes) >= MAX_LANES:
            raise LaneError(f"{MAX_LANES} lanes are open already")
        way, peer, listener, auth_context = arrival
        lane = ServerLane(self, peer=peer, listener=listener, auth_context=auth_context)
        self._taken += 1
        lane.number, lane.way, lane.tap = self._taken, way, self._tap
        self._lanes.add(lane)
        self._is_idle.clear()
        asyncio.get_running_loop().call_later(HELLO_S, _expect_hello, lane)
        return lane

    async def _drop_silent(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            since = time.monotonic() - SILENT_S
            for lane in [lane for lane in self._lanes if lane.heard_at < since]:
                lane.abort()


def _expect_hello(lane: ServerLane) -> None:
    if not lane.is_open and not lane.is_closed:
        lane.abort()


@dataclass(slots=True)
class _Details:
    """What generic handlers are asked by; they are asked once, before any call."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()
    is_lane: bool = True
