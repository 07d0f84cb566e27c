"""The channel itself: `grpc.Channel` for generated stubs, in scripts, notebooks and Django."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import grpc

from mesh.blocking._ordinary import Ordinary
from mesh.blocking._plain import Serializers
from mesh.blocking._sender import Sender, Targets, Terms
from mesh.blocking._unary import Unary
from mesh.context import Metadata
from mesh.lane.dial import TLS, UNIX, Tls, Way
from mesh.lane.hello import Prove

SOCKETS: Final = (UNIX, TLS)
"""What may carry the lanes of a blocking channel."""


class BlockingChannel(grpc.Channel):
    """A `grpc.Channel` whose unary calls go by lane, where a target has lanes on sockets.

    Streams, requests above 64 KiB, and calls to targets without lanes go over grpc's own
    blocking channels. Calls carry `proofs` and are bounded by `timeout_s` where they state
    no bound; neither the current request nor its deadline is looked at. A call that nobody
    has run is sent again, to another target where there is one; one that may have run, only
    where the contract says that this does no harm. Failures are `grpc.RpcError`s.

    Any number of threads may use a channel. It opens what it needs with the first call, and
    anew in a forked child. Lanes live in a daemon thread that ends by `close()`, or when the
    channel and its methods are let go of; callbacks of futures run there.

    Args:
        targets: where the service is: an address ("host:port", "unix:/path") or an
            `Endpoint`, several of them, or what answers either and is asked at each call.
        proofs: asked at each call; the metadata that proves who calls.
        timeout_s: bound of calls that state none.
        service: its name, for messages.
        carriers: what lanes may be carried by, of "unix" and "tls"; none: no lanes.
        tls: what is shown to other hosts, over lanes and plain gRPC (`mesh.tls`); without it
            lanes over TLS sockets are not used.
        prove: signs the hello of lanes with the key of the calling service.
    """

    def __init__(
        self,
        targets: Targets,
        proofs: Callable[[], Metadata] = tuple,
        *,
        timeout_s: float = 10.0,
        service: str = "service",
        carriers: Sequence[str] = SOCKETS,
        tls: Tls | None = None,
        prove: Prove | None = None,
    ) -> None:
        usable = {*SOCKETS} if tls is not None else {UNIX}
        way = Way(carriers=tuple(kind for kind in carriers if kind in usable), tls=tls)
        self._sender = Sender(
            targets,
            Terms(service=service, proofs=proofs, timeout_s=timeout_s, way=way, prove=prove),
        )

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return Unary(self._sender, method, (request_serializer, response_deserializer))

    def unary_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        return Ordinary(self._sender, "unary_stream", method, _both(*serializers, **named))

    def stream_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        return Ordinary(self._sender, "stream_unary", method, _both(*serializers, **named))

    def stream_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        return Ordinary(self._sender, "stream_stream", method, _both(*serializers, **named))

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        """Tell `callback` of the state of the ordinary connection to the first target."""
        self._sender.first_plain().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        self._sender.first_plain().unsubscribe(callback)

    def close(self) -> None:
        """Close what this process has opened; calls under way are cancelled."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def blocking_channel(
    target: Targets, proofs: Callable[[], Metadata] = tuple, *, timeout_s: float = 10.0
) -> Iterator[grpc.Channel]:
    """A `BlockingChannel` to `target` whose calls carry `proofs`, open within the block.

    Args:
        target: gRPC address ("host:port" or "unix:/path"), or an `Endpoint` with its lanes;
            or several.
        proofs: asked at each call: `mesh.channel.bearer(token)`, say.
        timeout_s: bound of calls that state none.
    """
    with BlockingChannel(target, proofs, timeout_s=timeout_s) as channel:
        yield channel


def _both(
    request_serializer: Any = None,
    response_deserializer: Any = None,
    _registered_method: bool | None = False,
) -> Serializers:
    return request_serializer, response_deserializer
