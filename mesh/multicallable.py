"""What a stub calls: the methods of a channel, in gRPC's terms multi-callables."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from mesh.lane.call import UnaryCall
from mesh.lane.frames import MAX_METADATA, MAX_PATH, MAX_REQUEST, size_of
from mesh.peer import Peer
from mesh.second_try import SecondTry
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

    def __call__(self, request: Any = None, **options: Any) -> Any:
        target = self._channel.choose()
        return (
            self._channel.unavailable() if target is None else self.to(target, request, **options)
        )

    def to(
        self,
        target: Peer,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        **options: Any,
    ) -> Any:
        """A call to a chosen peer; when it is gone, one to another."""
        channel = self._channel
        given = () if request is None else (request,)
        send = partial(self._send, given, metadata=channel.outgoing.pairs(metadata), **options)
        limit = channel.outgoing.timeout_s(timeout)
        call = send(target, timeout=limit)
        if self._kind != "unary_unary" or not channel.has_others:
            return call
        until = time.monotonic() + limit

        def again() -> Any:
            other = channel.choose(avoid=target)
            left = until - time.monotonic()
            return None if other in (None, target) or left <= 0 else send(other, timeout=left)

        return SecondTry(call, self._path, again)

    def _send(self, given: tuple[Any, ...], target: Peer, /, **options: Any) -> Any:
        return target.bound(self._kind, self._path, self._serializers)(*given, **options)


class Unary:
    """A unary method: its calls go by lane where the peer has lanes."""

    def __init__(self, channel: Channel, path: str, serializers: Serializers) -> None:
        self._channel = channel
        self._path = path
        self._serialize, self._deserialize = serializers
        self._ordinary = Ordinary(channel, "unary_unary", path, serializers)
        self._serialized = Ordinary(channel, "unary_unary", path, (None, self._deserialize))

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
        channel = self._channel
        peer = channel.choose()
        if peer is None:
            return channel.unavailable()
        lane, ordinary = None, self._ordinary
        if credentials is None and not compression and len(self._path) <= MAX_PATH:
            lane = peer.lane(self._path)
        if lane is not None:
            outgoing = channel.outgoing
            raw = request if self._serialize is None else self._serialize(request)
            shared, own = outgoing.shared(), outgoing.own(metadata)
            if type(raw) is bytes and len(raw) <= MAX_REQUEST and _is_small(shared, own):
                trace = current_trace()
                call = UnaryCall(
                    self._path,
                    raw,
                    self._deserialize,
                    outgoing.due(timeout),
                    shared=shared,
                    own=own,
                    trace=b"" if trace is None else trace.raw,
                )
                call.wait_for_ready = wait_for_ready
                if channel.has_others:
                    call.observe = peer.observe
                lane.submit(call)
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
