"""What a handler sees of a call that came over a lane: the interface of grpc.aio's context."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import grpc
from msgspec import Struct

from mesh.context import TRACEPARENT
from mesh.errors import status_code
from mesh.lane.frames import MAX_METADATA, MAX_TEXT, Pair, Pairs, pack, size_of
from mesh.lane.metadata import checked
from mesh.telemetry import TraceContext

_OK: Final = grpc.StatusCode.OK
_TOO_LARGE: Final = "The metadata of the answer are larger than a peer takes"
_NEVER: Final = float("inf")


class LaneContext(Struct, eq=False):
    """The servicer context of one unary call.

    `metadata` is the call's metadata as a mapping, where the last value of a key counts;
    calls share it, so nobody may change it. `deadline_at` is in seconds of
    `time.monotonic()`, infinity when there is none.
    """

    lane: Any
    number: int
    metadata: Mapping[str, str | bytes]
    _pairs: Sequence[Pair]
    deadline_at: float
    _trace: bytes
    proven: str = ""
    """The service that the lane is proven to be of; empty for any other client."""
    arrived_at: float = 0.0
    """When it came in."""
    is_done: bool = False
    is_aborted: bool = False
    is_late: bool = False
    is_given_up: bool = False
    task: asyncio.Task[None] | None = None
    _code: grpc.StatusCode | None = None
    _details: str = ""
    _initial: Sequence[Pair] = ()
    _trailing: Sequence[Pair] = ()
    _metadata_sent: bool = False
    _callbacks: list[Callable[[Any], None]] = []

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the caller continues; None when it sent none, or nonsense."""
        if self._trace:
            return TraceContext.from_bytes(self._trace)
        header = self.metadata.get(TRACEPARENT)
        return TraceContext.parse(header) if isinstance(header, str) else None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the reply has to be told."""
        return self._code is None and not self._trailing and not self._initial

    @property
    def is_ok(self) -> bool:
        """Whether the call ends well when its handler returns."""
        return self._code is None or self._code is _OK

    def ending(self) -> tuple[int, str, Pairs, Pairs]:
        """Status code, message, initial and trailing metadata."""
        if size_of(self._initial) + size_of(self._trailing) > MAX_METADATA:
            return grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], _TOO_LARGE, [], []
        code, details = self._code or _OK, self._details[:MAX_TEXT]
        told = "" if code is _OK else details
        return code.value[0], told, pack(self._initial), pack(self._trailing)

    def fail(self, code: grpc.StatusCode, details: str) -> None:
        """The call ends with this status, unless its handler has aborted it."""
        if not self.is_aborted:
            self._code, self._details = code, _text(details)

    def finished(self) -> None:
        """The call has ended."""
        self.is_done = True
        for callback in self._callbacks:
            callback(self)

    # The interface of grpc.aio.

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Any = (),
    ) -> NoReturn:
        """End the call with a status; raises an error that must not be caught."""
        if self.is_aborted:
            raise grpc.aio.UsageError("Abort already called!")
        if details:
            self.set_details(details)
        if trailing_metadata:
            self._trailing = checked(trailing_metadata)
        found = _status(code)
        self._code = grpc.StatusCode.UNKNOWN if found is _OK else found
        self.is_aborted = True
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """The same with what a status names, such as one of `grpc_status`."""
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Sent together with the reply; once at most."""
        if self._metadata_sent:
            raise grpc.aio.UsageError("Send initial metadata failed: already sent")
        self._initial = checked(initial_metadata)
        self._metadata_sent = True

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """What the caller gets after the reply."""
        if not self.is_aborted:
            self._trailing = checked(trailing_metadata)

    def trailing_metadata(self) -> Any:
        """What was set."""
        return tuple(self._trailing)

    def invocation_metadata(self) -> tuple[Pair, ...]:
        """All pairs of the caller's metadata, in order."""
        trace = TraceContext.from_bytes(self._trace) if self._trace else None
        if trace is None:
            return tuple(self._pairs)
        return (*self._pairs, (TRACEPARENT, trace.header))

    def set_code(self, code: grpc.StatusCode | int) -> None:
        """The status that the call ends with when the handler returns."""
        if not self.is_aborted:
            self._code = _status(code)

    def code(self) -> grpc.StatusCode | None:
        """The status so far; None while none was set."""
        return self._code

    def set_details(self, details: str | None) -> None:
        """The message of the status; counts when that is not OK."""
        if details is not None and not isinstance(details, str):
            raise TypeError(f"details must be text, not {type(details).__name__}")
        if not self.is_aborted:
            self._details = _text(details or "")

    def details(self) -> str:
        """The message so far."""
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Lanes do not compress."""

    def disable_next_message_compression(self) -> None:
        """Lanes do not compress."""

    def peer(self) -> str:
        """Where the call came from, as gRPC writes addresses."""
        peer: str = self.lane.peer
        return peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Of the caller's certificate; None when it has shown none."""
        return None

    def peer_identity_key(self) -> str | None:
        """The property of the certificate that identities are taken from."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What is proven of the caller."""
        context: Mapping[str, Iterable[bytes]] = self.lane.auth_context
        return context

    def time_remaining(self) -> float | None:
        """Seconds left; None when there is no deadline."""
        if self.deadline_at == _NEVER:
            return None
        return max(0.0, self.deadline_at - time.monotonic())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback` with this context once the call has ended."""
        self._callbacks.append(callback)

    def cancelled(self) -> bool:
        """Whether the call was ended before its handler did."""
        return self.is_done and self._code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        """Whether the call has ended, as far as its handler can say."""
        return self.is_done or self.is_aborted

    async def read(self) -> NoReturn:
        """Streams do not come over lanes."""
        raise grpc.aio.UsageError("a unary call has no stream to read from")

    async def write(self, message: Any) -> NoReturn:  # noqa: ARG002
        """Streams do not come over lanes."""
        raise grpc.aio.UsageError("a unary call has no stream to write to")


def _status(code: Any) -> grpc.StatusCode:
    """A status code, as handlers may name it: itself, or by its number."""
    if isinstance(code, grpc.StatusCode):
        return code
    return status_code(code) if isinstance(code, int) else grpc.StatusCode.UNKNOWN


def _text(details: str) -> str:
    """A message that can be written: an error may quote what is no text, such as a file's name."""
    return details if details.isascii() else details.encode("utf-8", "replace").decode()


grpc.aio.ServicerContext.register(LaneContext)
