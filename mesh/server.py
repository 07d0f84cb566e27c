"""Serves contracts: every call enters one interceptor chain, whichever way it came."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh import lane
from mesh.call import Interceptor
from mesh.dispatch import Dispatch
from mesh.lane.hello import Check
from mesh.resilience.shedding import Shedder
from mesh.service import Servicer

MAX_MESSAGE_BYTES = 16 << 20

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a taken port is an error, not half of the calls
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


class ServerTls(Protocol):
    """What a server shows, and whom it believes (`mesh.tls.Credentials`)."""

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a port; they follow the files that they are from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Where a server takes lanes over sockets.

    Args:
        ports: "unix:/path" with None, or "host:port" with a context for TLS.
        check: proves the services that call.
    """

    ports: Sequence[tuple[str, ssl.SSLContext | None]] = ()
    check: Check | None = None


NO_LANES = Lanes()
"""None over sockets; over gRPC streams they are taken all the same."""


class Server:
    """A gRPC server for a set of servicers.

    An async context manager: entering binds and starts, leaving drains for
    `drain_s` seconds and stops. Reflection and health are always served.

    Args:
        servicers: contracts with their implementations.
        interceptors: the chain, outermost first.
        addresses: "host:port" (port 0 picks one) or "unix:/path".
        max_in_flight: calls run at once; further ones get RESOURCE_EXHAUSTED.
        handlers: generic handlers outside our contracts.
        lanes: where lanes are taken over sockets, and who may say hello.
        tls: what is shown at addresses of TCP, where clients must show a certificate of the
            same authority; None: neither does.
        shedder: says which calls begin while there is too much to do; entered by its owner.

    Raises:
        ContractError: on construction, when a method cannot be served as written.
        OSError: on entering, when an address is taken.
    """

    def __init__(
        self,
        servicers: Sequence[Servicer],
        interceptors: Sequence[Interceptor],
        addresses: Sequence[str],
        *,
        max_in_flight: int = 2_000,
        drain_s: float = 10.0,
        handlers: Sequence[grpc.GenericRpcHandler] = (),
        lanes: Lanes = NO_LANES,
        tls: ServerTls | None = None,
        shedder: Shedder | None = None,
    ) -> None:
        self._tls = tls
        self._shedder = shedder
        self._lanes = lanes
        self._services = tuple(servicer.descriptor.full_name for servicer in servicers)
        self._dispatch = Dispatch(servicers, interceptors, shedder)
        self._handlers = handlers
        self._addresses = addresses
        self._max_in_flight = max_in_flight
        self._drain_s = drain_s
        self._health = health.aio.HealthServicer()
        self.ports: tuple[int, ...] = ()

    async def __aenter__(self) -> Self:
        self._server = lane.server(
            options=_OPTIONS,
            maximum_concurrent_rpcs=self._max_in_flight if self._shedder is None else None,
            check=self._lanes.check,
            admission=self._dispatch.door,
        )
        if self._shedder is not None:
            self._shedder.watch(lambda: self.calls_under_way)
        self._server.add_generic_rpc_handlers((self._dispatch, *self._handlers))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.ports = tuple(self._bind(address) for address in self._addresses)
        for address, tls in self._lanes.ports:
            self._server.add_lane_port(address, tls)
        await self._server.start()
        return self

    @property
    def lane_ports(self) -> Sequence[int]:
        """The TCP ports of lanes over TLS, in the order in which they were given."""
        return self._server.lane_ports

    @property
    def host(self) -> lane.LaneServer:
        """What serves, once it was entered."""
        return self._server

    @property
    def calls_under_way(self) -> int:
        """Calls that have begun and not ended: those over lanes, and with a shedder all others."""
        door = self._dispatch.door
        return self._server.calls_under_way + (0 if door is None else door.plain_calls)

    async def serving(self) -> None:
        """Answer health checks with SERVING from now on."""
        for name in ("", *self._services):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def draining(self) -> None:
        """Answer health checks with NOT_SERVING from now on; calls are still served."""
        await self._health.enter_graceful_shutdown()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.stop(self._drain_s)

    def _bind(self, address: str) -> int:
        try:
            if self._tls is None or address.startswith("unix:"):
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, self._tls.server_credentials())
        except RuntimeError as error:
            raise OSError(
                f"cannot listen on {address}: it is in use, or not an address of this machine "
                "(ENGINE_HOST, ENGINE_PORT_BASE)"
            ) from error
