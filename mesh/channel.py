"""The mesh's channel: generated stubs take it in place of `grpc.aio.Channel`.

It chooses an endpoint for every call, adds what the current request carries
(user, calling service, purpose, chain, trace) and bounds the call by what is
left of the current deadline. Unary calls go by lane where the peer has lanes;
streams and large requests go the ordinary way of the same endpoint.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
from grpc import ChannelConnectivity

from mesh.context import TRACEPARENT
from mesh.errors import MeshError, MeshReason
from mesh.failed_call import FailedCall
from mesh.lane.call import UnaryCall
from mesh.lane.dial import CARRIERS, Endpoint, Way
from mesh.multicallable import Ordinary, Serializers, Unary
from mesh.outgoing import Outgoing, Proofs, bearer, no_proofs
from mesh.peer import Dialling, Peer
from mesh.second_try import SecondTry, is_repeatable
from mesh.telemetry import TraceContext

if TYPE_CHECKING:  # a client outside the platform has no registry
    import ssl

    from mesh.lane.hello import Prove
    from mesh.registry import Entry, Registry

__all__ = ["Channel", "Endpoint", "Endpoints", "Proofs", "bearer", "no_proofs", "registered"]

READY_POLL_S: Final = 0.05
RETIRE_S: Final = 30.0
"""How long calls in flight to an endpoint that left may still take."""
MAX_MOVES: Final = 8
"""How often a call that nobody has run may be given to another lane."""

Endpoints = Callable[[], Sequence[Endpoint | str]]


def registered(registry: Registry, service: str, host_id: str) -> Endpoints:
    """The endpoints of a service: its sockets on this host, its addresses elsewhere."""
    seen: Sequence[Entry] = ()
    found: Sequence[Endpoint] = ()

    def endpoints() -> Sequence[Endpoint]:
        nonlocal seen, found
        entries = registry.lookup(service)
        if entries != seen:
            seen, found = entries, tuple(entry.endpoint(host_id) for entry in entries)
        return found

    return endpoints


class Channel(grpc.aio.Channel):
    """A channel to a service, wherever it runs at the moment of each call.

    Calls fail with UNAVAILABLE when there is no endpoint. A call without
    `timeout` is bounded by the current request's deadline, else by 10 seconds.

    Args:
        service: name of the service, for messages.
        endpoints: a list, or what answers one and is asked at each call; a text is an
            ordinary gRPC address ("host:port", "unix:/path").
        proofs: asked at each call; the metadata that proves who calls.
        carriers: what lanes may be carried by; none: all calls go the ordinary way.
        prove: signs the hello of lanes with the key of the calling service.
        tls: for lanes over TLS sockets; without it they are not used.
    """

    def __init__(
        self,
        service: str,
        endpoints: Endpoints | Sequence[Endpoint | str],
        proofs: Proofs = no_proofs,
        *,
        carriers: Sequence[str] = CARRIERS,
        prove: Prove | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._service = service
        self._endpoints = endpoints if callable(endpoints) else lambda: endpoints
        self.outgoing = Outgoing(proofs)
        self._dialling = Dialling(way=Way(carriers=tuple(carriers), tls=tls), prove=prove)
        self._seen: Sequence[Endpoint | str] = ()
        self._current: tuple[Peer, ...] = ()
        self._peers: dict[Endpoint | str, Peer] = {}
        self._leaving: set[Peer] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self._turn = count()
        self._is_closed = False

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **_: Any,
    ) -> Any:
        return Unary(self, method, (request_serializer, response_deserializer))

    def unary_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        return Ordinary(self, "unary_stream", method, _serializers(*serializers, **named))

    def stream_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        return Ordinary(self, "stream_unary", method, _serializers(*serializers, **named))

    def stream_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        return Ordinary(self, "stream_stream", method, _serializers(*serializers, **named))

    # Choosing.

    def choose(self, avoid: Peer | None = None) -> Peer | None:
        """The endpoint for the next call; None when there is none.

        Of two it is the one where the call is likely to be answered sooner. One whose last
        connection failed, and `avoid`, are passed over while there are others.
        """
        if self._is_closed:
            raise grpc.aio.UsageError("Channel is closed.")
        endpoints = self._endpoints()
        if endpoints != self._seen:
            self._follow(endpoints)
        peers = self._current
        if len(peers) == 1:
            return peers[0]
        if not peers:
            return None
        first = next(self._turn) % len(peers)
        order = (*peers[first:], *peers[:first])
        usable = [peer for peer in order if peer is not avoid and peer.is_wanted] or order
        if len(usable) == 1:
            return usable[0]
        one, other = usable[0], random.choice(usable[1:])  # noqa: S311 - no secret
        now = time.monotonic()
        return other if other.cost(now) < one.cost(now) else one

    @property
    def has_others(self) -> bool:
        """Whether there is more than one endpoint."""
        return len(self._current) > 1

    def _follow(self, endpoints: Sequence[Endpoint | str]) -> None:
        """The endpoints are others: keep the peers that stay, and retire those that left."""
        self._seen = endpoints[:]
        self._current = tuple(map(self._peer, endpoints))
        if endpoints:  # a table that is empty for a moment takes nothing away
            self._retire({*self._peers} - {*endpoints})

    def _peer(self, endpoint: Endpoint | str) -> Peer:
        found = self._peers.get(endpoint)
        if found is None:
            target = Endpoint(endpoint) if isinstance(endpoint, str) else endpoint
            found = self._peers[endpoint] = Peer(target, self._dialling, self)
        return found

    def _retire(self, gone: Iterable[Endpoint | str]) -> None:
        """Close the connections to endpoints that left; calls in flight may end first."""
        for endpoint in gone:
            peer = self._peers.pop(endpoint)
            self._leaving.add(peer)
            task = asyncio.ensure_future(peer.close(RETIRE_S))
            task.add_done_callback(lambda _, peer=peer: self._leaving.discard(peer))  # type: ignore[misc]
            self._keep(task)

    def _keep(self, task: asyncio.Future[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Calls that a lane did not bring back.

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        """Send a call again that a lane of `peer` lost, where that cannot do harm."""
        call.moves += 1
        call.resent += sent
        if self._is_closed:
            call.failed(grpc.StatusCode.CANCELLED, "The channel was closed")
        elif (sent and (call.resent > 1 or not is_repeatable(call.path))) or call.moves > MAX_MOVES:
            call.failed(grpc.StatusCode.UNAVAILABLE, f"The connection was lost: {reason}")
        else:
            target = self.choose(avoid=peer) or peer
            lane = target.lane(call.path, opening=False)
            if lane is None:
                self.carry(call, target)
            else:
                lane.submit(call)

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        """Bring a call to its end the ordinary way."""
        if self._is_closed:
            call.failed(grpc.StatusCode.CANCELLED, "The channel was closed")
            return
        task = asyncio.ensure_future(self._carry(call, peer))
        call.holder = _Carried(task)
        self._keep(task)

    async def _carry(self, call: UnaryCall, peer: Peer) -> None:
        shared = call.shared.metadata if call.shared is not None else ()
        pairs = [*shared, *call.own, *_trace(call.trace)]

        def send(target: Peer) -> Any:
            method = target.bound("unary_unary", call.path, (None, None))
            left = call.due - time.monotonic()
            return method(
                call.request, timeout=left, metadata=pairs, wait_for_ready=call.wait_for_ready
            )

        def again() -> Any:
            other = self.choose(avoid=peer)
            return None if other in (None, peer) or call.resent else send(other)

        try:
            plain = SecondTry(send(peer), call.path, again)
            reply = await plain
        except grpc.aio.AioRpcError as error:
            metadata = error.initial_metadata(), error.trailing_metadata()
            call.settled(error.code(), error.details() or "", metadata)
        else:
            metadata = await plain.initial_metadata(), await plain.trailing_metadata()
            call.settled(grpc.StatusCode.OK, await plain.details(), metadata, reply)
        finally:
            if not call.is_done:
                call.failed(grpc.StatusCode.CANCELLED, "The channel was closed")

    # The state of the channel.

    def unavailable(self) -> FailedCall:
        """A call that fails because nothing serves."""
        return FailedCall(
            MeshError(MeshReason.UNAVAILABLE, f"No instance of '{self._service}' can be reached")
        )

    async def channel_ready(self) -> None:
        """Return once an endpoint is connected. Bound it by a time-out of your own."""
        while (peer := self.choose()) is None:  # noqa: ASYNC110 - the registry has no events
            await asyncio.sleep(READY_POLL_S)
        await peer.ready()

    def get_state(self, try_to_connect: bool = False) -> ChannelConnectivity:
        peer = self.choose()
        if peer is None:
            return ChannelConnectivity.TRANSIENT_FAILURE
        return peer.state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: ChannelConnectivity) -> None:
        while self.get_state() is last_observed_state:  # noqa: ASYNC110 - as above
            await asyncio.sleep(READY_POLL_S)

    async def close(self, grace: float | None = None) -> None:
        """Let calls under way end for `grace` seconds, then cancel them."""
        self._is_closed = True
        peers = [*self._peers.values(), *self._leaving]
        self._peers.clear()
        self._current = ()  # gRPC's descriptors go with the last who holds its channels
        await asyncio.gather(*(peer.close(grace) for peer in peers))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class _Carried:
    """Holds a call that goes the ordinary way."""

    def __init__(self, task: asyncio.Future[None]) -> None:
        self._task = task

    def cancelled(self, call: UnaryCall) -> None:  # noqa: ARG002 - it holds one alone
        self._task.cancel()


def _serializers(
    request_serializer: Any = None,
    response_deserializer: Any = None,
    _registered_method: bool | None = False,
) -> Serializers:
    return request_serializer, response_deserializer


def _trace(raw: bytes) -> list[tuple[str, str]]:
    trace = TraceContext.from_bytes(raw) if raw else None
    return [] if trace is None else [(TRACEPARENT, trace.header)]
