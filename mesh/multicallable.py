"""What a stub calls: the methods of a channel, in gRPC's terms multi-callables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from mesh.attempt import ChannelCall
from mesh.lane.frames import MAX_METADATA, MAX_PATH, MAX_REQUEST, size_of
from mesh.peer import Peer
from mesh.retried import Means, Retried
from mesh.telemetry import current_trace

if TYPE_CHECKING:
    from mesh.channel import Channel

Serializers = tuple[Any, Any]
"""Of requests, and of responses; None: bytes as they are."""


class Ordinary:
    """A method whose calls go over plain gRPC."""

    def __init__(self, channel: Channel, kind: str, path: str, serializers: Serializers) -> None:
        self._channel = channel
        self._kind = kind
        self._path = path
        self._serializers = serializers

    def __call__(self, request: Any = None, *, metadata: Any = None, **options: Any) -> Any:
        channel = self._channel
        channel.budget.calls += 1
        target = channel.balancer.choose(self._path, metadata)
        if target is None:
            return channel.unavailable()
        return self.to(target, request, metadata=metadata, **options)

    def to(
        self,
        target: Peer,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        **options: Any,
    ) -> Any:
        """A call to a chosen peer; where a further try does no harm, it may go to others."""
        channel = self._channel
        given = () if request is None else (request,)
        pairs = channel.outgoing.pairs(metadata)
        send = partial(self._send, given, metadata=pairs, **options)
        limit_s = channel.outgoing.timeout_s(timeout)
        if self._kind != "unary_unary":
            return send(target, limit_s)
        means = Means(
            channel.balancer,
            channel.retries,
            lambda path, avoid: channel.balancer.choose(path, metadata, avoid),
        )
        return Retried(self._path, target, send, limit_s, means)

    def _send(self, given: tuple[Any, ...], target: Peer, limit_s: float, /, **options: Any) -> Any:
        method = target.bound(self._kind, self._path, self._serializers)
        return method(*given, timeout=limit_s, **options)


class Unary:
    """A unary method: its calls go by lane where the peer has lanes."""

    def __init__(self, channel: Channel, path: str, serializers: Serializers) -> None:
        self._channel = channel
        self._path = path
        self._has_lanes = len(path) <= MAX_PATH
        self._serialize, self._deserialize = serializers
        self._ordinary = Ordinary(channel, "unary_unary", path, serializers)
        self._serialized = Ordinary(channel, "unary_unary", path, (None, self._deserialize))
        self._latencies = channel.hedger.latencies(path) if channel.hedger is not None else None

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        channel, path = self._channel, self._path
        channel.budget.calls += 1
        peer = channel.balancer.choose(path, metadata)
        if peer is None:
            return channel.unavailable()
        lane, ordinary = None, self._ordinary
        if credentials is None and not compression and self._has_lanes:
            lane = peer.lane(path)
        if lane is not None:
            raw = request if self._serialize is None else self._serialize(request)
            due, shared, own = channel.outgoing.prepared(timeout, metadata)
            if type(raw) is bytes and len(raw) <= MAX_REQUEST and _is_small(shared, own):
                trace = current_trace()
                call = ChannelCall(
                    path,
                    raw,
                    self._deserialize,
                    due,
                    shared=shared,
                    own=own,
                    trace=b"" if trace is None else trace.raw,
                    wait_for_ready=wait_for_ready,
                    observe=peer.observe if channel.balancer.has_others else None,
                    peer=peer,
                    breaker=peer.health.breaker(path),
                    rescue=channel.recovery,
                )
                lane.submit(call)
                if self._latencies is not None and channel.hedger is not None:
                    channel.hedger.watch(call, self._latencies)
                return call
            request, ordinary = raw, self._serialized
        return ordinary.to(
            peer,
            request,
            timeout=timeout,
            metadata=metadata,
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
        )


def _is_small(shared: Any, own: Any) -> bool:
    """Whether a lane takes metadata of this size."""
    size = shared.size if shared is not None else 0
    if own:
        size += size_of(own)
    return size <= MAX_METADATA
