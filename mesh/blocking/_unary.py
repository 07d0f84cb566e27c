"""A unary method of a blocking channel: by lane where a target has lanes, else over plain gRPC."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from mesh.blocking._call import LaneCall, Waiting, late
from mesh.blocking._ending import EndedCall
from mesh.blocking._future import LaneFuture
from mesh.blocking._plain import Serializers
from mesh.blocking._sender import Sender
from mesh.lane.blocks import Shared
from mesh.lane.frames import MAX_METADATA, MAX_PATH, MAX_REQUEST, Pair, size_of
from mesh.lane.metadata import checked


class Options(NamedTuple):
    """What a caller says beside the request."""

    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Unary(grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # generic in stubs alone
    """Calls block, or answer a future; failures are `grpc.RpcError`s that are `grpc.Call`s too."""

    def __init__(self, sender: Sender, path: str, serializers: Serializers) -> None:
        self.sender = sender
        self.path = path
        self.serializers = serializers

    def __call__(  # noqa: PLR0917 - as grpc has it, and the same below
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        options = Options(timeout, metadata, credentials, wait_for_ready, compression)
        return _Asked(self, request, options).answered()[0]

    def with_call(  # noqa: PLR0917
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> tuple[Any, grpc.Call]:
        options = Options(timeout, metadata, credentials, wait_for_ready, compression)
        response, call = _Asked(self, request, options).answered()
        return response, EndedCall(call.ending, response) if isinstance(call, LaneCall) else call

    def future(  # noqa: PLR0917
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        options = Options(timeout, metadata, credentials, wait_for_ready, compression)
        return _Asked(self, request, options).future()


class _Asked:
    """One call of a method."""

    __slots__ = ("_due", "_method", "_options", "_process", "_request", "_targets")

    def __init__(self, method: Unary, request: Any, options: Options) -> None:
        sender = method.sender
        self._method = method
        self._request = request
        self._options = options
        self._process = sender.process
        self._targets = sender.targets()
        self._due = sender.due(options.timeout)

    def answered(self) -> tuple[Any, Any]:
        """The response and the call.

        Raises:
            grpc.RpcError: the call failed.
        """
        waiting = Waiting()
        call = self._by_lane(waiting.notify)
        if call is None:
            return self._plainly()
        self._wait(call, waiting)
        if call.is_done:
            return call.answer(self._method.serializers[1]), call
        if call.resent:  # a lane has lost it: this is its second try
            return self._send(call.address, self._due - time.monotonic())
        return self._plainly(call.address)

    def future(self) -> Any:
        """The call as a future that is under way."""
        thread = self._process.thread
        future = LaneFuture(thread, self._due, self._method.serializers[1], self._begin)
        call = self._by_lane(future.told)
        if call is None:
            return self._begin(self._process.plain.choose(self._targets))
        future.call = call
        thread.send(call, self._targets)
        return future

    # By lane.

    def _by_lane(self, notify: Callable[[], object]) -> LaneCall | None:
        """The call for a lane; None when it cannot go by one."""
        options, (serialize, _) = self._options, self._method.serializers
        if (
            not any(target.lanes for target in self._targets)
            or len(self._method.path) > MAX_PATH
            or options.credentials is not None
            or options.compression
            or self._process.thread.is_current
        ):
            return None
        shared = self._method.sender.shared()
        try:
            raw = self._request if serialize is None else serialize(self._request)
            own = checked(options.metadata) if options.metadata else ()
        except Exception:  # noqa: BLE001 - any serializer may be given; grpc says it as it does
            return None
        if type(raw) is not bytes or len(raw) > MAX_REQUEST or not _is_small(shared, own):
            return None
        return LaneCall(
            self._method.path, raw, None, self._due, shared=shared, own=own, notify=notify
        )

    def _wait(self, call: LaneCall, waiting: Waiting) -> None:
        """Give the call to the lanes, and wait until they have ended it or hand it back."""
        thread = self._process.thread
        try:
            thread.send(call, self._targets)
            is_told = waiting.until(self._due)
        except BaseException:  # KeyboardInterrupt above all
            thread.cancel(call)
            raise
        if not is_told:
            thread.cancel(call)
            raise late()

    # Over plain gRPC.

    def _plainly(self, address: str = "") -> tuple[Any, Any]:
        plain, targets = self._process.plain, self._targets
        plain.keep(targets)
        first = address or plain.choose(targets)
        answered: tuple[Any, Any] = plain.answered(
            self._send, self._method.path, targets, first, self._due
        )
        return answered

    def _send(self, address: str, left: float) -> tuple[Any, Any]:
        answered: tuple[Any, Any] = self._bound(address).with_call(
            self._request, left, *self._given()
        )
        return answered

    def _begin(self, address: str) -> Any:
        left = self._due - time.monotonic()
        return self._bound(address).future(self._request, left, *self._given())

    def _bound(self, address: str) -> Any:
        method = self._method
        return self._process.plain.bound("unary_unary", method.path, method.serializers, address)

    def _given(self) -> tuple[Any, ...]:
        _, metadata, *rest = self._options
        return self._method.sender.pairs(metadata), *rest


def _is_small(shared: Shared | None, own: Sequence[Pair]) -> bool:
    """Whether a lane takes metadata of this size."""
    size = shared.size if shared is not None else 0
    return (size + size_of(own) if own else size) <= MAX_METADATA
