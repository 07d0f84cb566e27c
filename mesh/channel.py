"""The mesh's channel: generated stubs take it in place of `grpc.aio.Channel`.

It chooses an endpoint for every call, adds what the current request carries
(user, calling service, purpose, chain, trace) and bounds the call by what is
left of the current deadline. Unary calls go by lane where the peer has lanes;
streams and large requests go the ordinary way of the same endpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
from grpc import ChannelConnectivity

from mesh.balancing import Balancer, Endpoints, Source, registered, source_of
from mesh.errors import MeshError, MeshReason
from mesh.failed_call import FailedCall
from mesh.hedger import Hedger
from mesh.lane.call import UnaryCall
from mesh.lane.dial import CARRIERS, Endpoint, Way
from mesh.multicallable import Ordinary, Serializers, Unary
from mesh.outgoing import Outgoing, Proofs, bearer, no_proofs
from mesh.peer import Dialling, Peer
from mesh.recovery import Recovery
from mesh.resilience import Budget, Counts, Health, Resilience, Retries

if TYPE_CHECKING:
    from mesh.lane.dial import Tls
    from mesh.lane.hello import Prove

__all__ = ["Channel", "Endpoint", "Endpoints", "Proofs", "bearer", "no_proofs", "registered"]

READY_POLL_S: Final = 0.05
WAIT_S: Final = 1.0
"""When who was refused by a breaker may come again: so often one call is let through."""


class Channel(grpc.aio.Channel):
    """A channel to a service, wherever it runs at the moment of each call.

    Calls fail with UNAVAILABLE when there is no endpoint, or when calls of the method fail
    too often for a further one to be sent. A call without `timeout` is bounded by the
    current request's deadline, else by 10 seconds.

    Args:
        service: name of the service, for messages.
        endpoints: a list, or what answers one and is asked at each call; a text is an
            ordinary gRPC address ("host:port", "unix:/path"). Or what a registry has of
            the service, with its route (`registered`).
        proofs: asked at each call; the metadata that proves who calls.
        carriers: what lanes may be carried by; none: all calls go the ordinary way.
        prove: signs the hello of lanes with the key of the calling service.
        tls: what is shown to other hosts, over lanes and plain gRPC (`mesh.tls`); without it
            lanes over TLS sockets are not used.
        resilience: retries, breaker, ejection and hedging.
        counts: what they did, of all channels of the process.
    """

    def __init__(
        self,
        service: str,
        endpoints: Source | Endpoints | Sequence[Endpoint | str],
        proofs: Proofs = no_proofs,
        *,
        carriers: Sequence[str] = CARRIERS,
        prove: Prove | None = None,
        tls: Tls | None = None,
        resilience: Resilience | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._service = service
        self._dialling = Dialling(way=Way(carriers=tuple(carriers), tls=tls), prove=prove)
        self._counts = counts = counts or Counts()
        self.outgoing = Outgoing(proofs)
        options = resilience or Resilience()
        self._has_breakers = options.breaker
        self.budget = Budget(options.retry_percent, time.monotonic())
        self.retries = Retries(options.attempts, self.budget, counts)
        self.balancer = Balancer(
            source_of(endpoints), self._peer, self.outgoing.carried, options, counts
        )
        self.recovery = Recovery(self.balancer, self.retries, counts)
        self.hedger: Hedger | None = None
        if options.hedge_after_s is not None:
            self.hedger = Hedger(self.balancer, self.budget, counts, options.hedge_after_s)

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

    def choose(self, path: str = "") -> Peer | None:
        """The endpoint for the next call of a method; None when there is none."""
        return self.balancer.choose(path)

    def unavailable(self) -> FailedCall:
        """A call that fails because nothing serves, or because breakers refuse."""
        if not self.balancer.is_refused:
            text = f"No instance of '{self._service}' can be reached"
            return FailedCall(MeshError(MeshReason.UNAVAILABLE, text))
        self._counts.refused.add()
        text = f"Calls of this method of '{self._service}' fail too often: it was not sent"
        return FailedCall(MeshError(MeshReason.CIRCUIT_OPEN, text, retry_after_s=WAIT_S))

    def _peer(self, endpoint: Endpoint) -> Peer:
        return Peer(endpoint, self._dialling, self, Health(refuses=self._has_breakers))

    # Calls that a lane did not bring back.

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        """Send a call again that a lane of `peer` lost, where that cannot do harm."""
        self.recovery.returned(call, peer, sent=sent, reason=reason)

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        """Bring a call to its end the ordinary way."""
        self.recovery.carry(call, peer)

    # The state of the channel.

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
        if self.hedger is not None:
            self.hedger.stop()
        self.balancer.stop()
        await self.balancer.peers.close(grace)
        await self.recovery.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _serializers(
    request_serializer: Any = None,
    response_deserializer: Any = None,
    _registered_method: bool | None = False,
) -> Serializers:
    return request_serializer, response_deserializer
