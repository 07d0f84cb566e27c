"""The mesh's channel: generated stubs take it in place of `grpc.aio.Channel`.

It chooses an endpoint for every call, adds what the current request carries
(user, calling service, purpose, chain, trace) and bounds the call by what is
left of the current deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import grpc
from grpc import ChannelConnectivity

from mesh import context as wire
from mesh.context import Metadata
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason
from mesh.second_try import SecondTry
from mesh.telemetry import current_trace

if TYPE_CHECKING:  # a client outside the platform has no registry
    from mesh.registry import Registry

DEFAULT_TIMEOUT_S = 10.0
READY_POLL_S = 0.05
RETIRE_S = 30.0
"""How long calls in flight to an endpoint that left may still take."""

_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # and how long an attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    ("grpc.use_local_subchannel_pool", 1),
)

Endpoints = Callable[[], Sequence[str]]
Proofs = Callable[[], Metadata]


def no_proofs() -> Metadata:
    """The proofs of a client that has none."""
    return ()


def registered(registry: Registry, service: str, host_id: str) -> Endpoints:
    """The endpoints of a service: its sockets on this host, its addresses elsewhere."""

    def endpoints() -> Sequence[str]:
        return [
            f"unix:{entry.socket}" if entry.socket and entry.host_id == host_id else entry.address
            for entry in registry.lookup(service)
        ]

    return endpoints


def bearer(token: str) -> Proofs:
    """The proof of a user: his access token."""
    return lambda: ((wire.AUTHORIZATION, f"Bearer {token}"),)


class Channel(grpc.aio.Channel):
    """A channel to a service, wherever it runs at the moment of each call.

    Args:
        service: name of the service, for messages.
        endpoints: asked at each call; gRPC addresses ("host:port", "unix:/path").
        proofs: asked at each call; the metadata that proves who calls.

    Calls fail with UNAVAILABLE when there is no endpoint. A call without
    `timeout` is bounded by the current request's deadline, else by 10 seconds.
    """

    def __init__(self, service: str, endpoints: Endpoints, proofs: Proofs = no_proofs) -> None:
        self._service = service
        self._endpoints = endpoints
        self._proofs = proofs
        self._open: dict[str, grpc.aio.Channel] = {}
        self._retiring: set[asyncio.Future[None]] = set()
        self._turn = count()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, "unary_unary", method, args, kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, "unary_stream", method, args, kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, "stream_unary", method, args, kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, "stream_stream", method, args, kwargs)

    def choose(self) -> grpc.aio.Channel | None:
        """The open channel for the next call, in turn; None when there is no endpoint.

        One whose last connection failed is passed over while there is another.
        """
        endpoints = self._endpoints()
        if not endpoints:
            return None
        first = next(self._turn) % len(endpoints)
        chosen = self._channel(endpoints[first], endpoints)
        if len(endpoints) == 1 or not _is_lost(chosen):
            return chosen
        others = (*endpoints[first + 1 :], *endpoints[:first])
        return next(self._not_lost(others, endpoints), chosen)

    def another(self, than: grpc.aio.Channel) -> grpc.aio.Channel | None:
        """A channel to another endpoint, whose last connection did not fail; or None."""
        endpoints = self._endpoints()
        usable = self._not_lost(endpoints, endpoints)
        return next((channel for channel in usable if channel is not than), None)

    @property
    def has_others(self) -> bool:
        """Whether there is more than one endpoint."""
        return len(self._endpoints()) > 1

    def _not_lost(
        self, endpoints: Iterable[str], current: Sequence[str]
    ) -> Iterator[grpc.aio.Channel]:
        channels = (self._channel(endpoint, current) for endpoint in endpoints)
        return (channel for channel in channels if not _is_lost(channel))

    def _channel(self, endpoint: str, current: Sequence[str]) -> grpc.aio.Channel:
        """The channel to an endpoint; a new one retires those to endpoints that left."""
        found = self._open.get(endpoint)
        if found is None:
            found = grpc.aio.insecure_channel(endpoint, options=_OPTIONS)
            self._open[endpoint] = found
            self._retire({*self._open} - {*current})
        return found

    def _retire(self, gone: Iterable[str]) -> None:
        """Close the channels of endpoints that left; calls in flight may end first."""
        for endpoint in gone:
            task = asyncio.ensure_future(self._open.pop(endpoint).close(RETIRE_S))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def outgoing(self, given: Any, timeout: float | None) -> tuple[list[Any], float]:
        """Metadata and time-out of a call made now: proofs, current request, trace, `given`."""
        current = wire.current()
        pairs: list[Any] = [*self._proofs(), *current.outgoing(), *(given or ())]
        trace = current_trace()
        if trace is not None:
            pairs.append((wire.TRACEPARENT, trace.header))
        own = DEFAULT_TIMEOUT_S if timeout is None and current.deadline is None else timeout
        bound = current.deadline.budget_s(own) if current.deadline else own
        assert bound is not None
        return pairs, bound

    def unavailable(self) -> FailedCall:
        """A call that fails because nothing serves."""
        return FailedCall(
            MeshError(MeshReason.UNAVAILABLE, f"No instance of '{self._service}' can be reached")
        )

    async def channel_ready(self) -> None:
        """Return once an endpoint is connected. Bound it by a time-out of your own."""
        while (channel := self.choose()) is None:  # noqa: ASYNC110 - the registry has no events
            await asyncio.sleep(READY_POLL_S)
        await channel.channel_ready()

    def get_state(self, try_to_connect: bool = False) -> ChannelConnectivity:
        channel = self.choose()
        if channel is None:
            return ChannelConnectivity.TRANSIENT_FAILURE
        return channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: ChannelConnectivity) -> None:
        while self.get_state() is last_observed_state:  # noqa: ASYNC110 - as above
            await asyncio.sleep(READY_POLL_S)

    async def close(self, grace: float | None = None) -> None:
        open_, self._open = self._open, {}
        for channel in open_.values():
            await channel.close(grace)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _is_lost(channel: grpc.aio.Channel) -> bool:
    return channel.get_state() is ChannelConnectivity.TRANSIENT_FAILURE


class _Method:
    """One method of a channel: what a stub calls."""

    def __init__(
        self, channel: Channel, kind: str, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._channel = channel
        self._kind = kind
        self._path = path
        self._args = args
        self._kwargs = {**kwargs, "_registered_method": False}
        self._bound: WeakKeyDictionary[grpc.aio.Channel, Any] = WeakKeyDictionary()

    def __call__(
        self,
        request: Any = None,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        target = self._channel.choose()
        if target is None:
            return self._channel.unavailable()
        pairs, limit = self._channel.outgoing(metadata, timeout)
        send = partial(
            self._send,
            () if request is None else (request,),
            metadata=pairs,
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
        )
        call = send(target, timeout=limit)
        if self._kind != "unary_unary" or not self._channel.has_others:
            return call
        until = time.monotonic() + limit

        def again() -> Any:
            other = self._channel.another(target)
            left = until - time.monotonic()
            return None if other is None or left <= 0 else send(other, timeout=left)

        return SecondTry(call, self._path, again)

    def _send(self, given: tuple[Any, ...], target: grpc.aio.Channel, **options: Any) -> Any:
        bound = self._bound.get(target)
        if bound is None:
            bound = getattr(target, self._kind)(self._path, *self._args, **self._kwargs)
            self._bound[target] = bound
        return bound(*given, **options)


class FailedCall:
    """A call that failed before it could be sent; awaiting or iterating it raises."""

    def __init__(self, error: MeshError) -> None:
        self._error = error
        status = error.to_status().SerializeToString()
        self._trailing = grpc.aio.Metadata((STATUS_DETAILS_KEY, status))

    def _raise(self) -> Any:
        raise grpc.aio.AioRpcError(
            self._error.code, grpc.aio.Metadata(), self._trailing, details=self._error.detail
        )

    def __await__(self) -> Generator[Any, None, Any]:
        return self.__anext__().__await__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._raise()

    async def read(self) -> Any:
        return self._raise()

    async def write(self, _request: Any) -> None:
        self._raise()

    async def done_writing(self) -> None:
        pass

    async def wait_for_connection(self) -> None:
        self._raise()

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return self._trailing

    async def code(self) -> grpc.StatusCode:
        return self._error.code

    async def details(self) -> str:
        return self._error.detail

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)
