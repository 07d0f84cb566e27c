"""What a handler sees of a call that came over a lane: the interface of grpc.aio's context."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import grpc

from mesh.context import TRACEPARENT
from mesh.lane.frames import MAX_TEXT, Pair, Pairs, pack
from mesh.telemetry import TraceContext

_OK: Final = grpc.StatusCode.OK
_NEVER: Final = float("inf")


class LaneContext:
    """The servicer context of one unary call.

    `metadata` is the call's metadata as a mapping, where the last value of a key counts;
    calls share it, so nobody may change it. `deadline_at` is in seconds of
    `time.monotonic()`, infinity when there is none.
    """

    __slots__ = (
        "_callbacks",
        "_code",
        "_details",
        "_initial",
        "_metadata_sent",
        "_pairs",
        "_trace",
        "_trailing",
        "deadline_at",
        "is_aborted",
        "is_done",
        "is_late",
        "lane",
        "metadata",
        "number",
        "task",
    )

    def __init__(  # noqa: PLR0917 - once a call: by place it is faster
        self,
        lane: Any,
        number: int,
        metadata: Mapping[str, str | bytes],
        pairs: Sequence[Pair],
        deadline_at: float,
        trace: bytes,
    ) -> None:
        self.lane = lane
        self.number = number
        self.metadata = metadata
        self.deadline_at = deadline_at
        self.is_done = self.is_aborted = self.is_late = False
        self.task: asyncio.Task[None] | None = None
        self._pairs = pairs
        self._trace = trace
        self._code: Any = _OK
        self._details = ""
        self._initial: Sequence[Pair] = ()
        self._trailing: Sequence[Pair] = ()
        self._metadata_sent = False
        self._callbacks: list[Callable[[Any], None]] = []

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the caller continues; None when it sent none, or nonsense."""
        return TraceContext.from_bytes(self._trace) if self._trace else None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the reply has to be told."""
        return self._code is _OK and not self._trailing and not self._initial and not self._details

    def ending(self) -> tuple[int, str, Pairs, Pairs]:
        """Status code, message, initial and trailing metadata."""
        return (
            self._code.value[0],
            self._details[:MAX_TEXT],
            pack(self._initial),
            pack(self._trailing),
        )

    def fail(self, code: grpc.StatusCode, details: str) -> None:
        """The call ends with this status, whatever the handler has set."""
        self._code, self._details = code, details

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
        self.is_aborted = True
        if code is _OK:
            code, details = grpc.StatusCode.UNKNOWN, ""
        self._code, self._details = code, details
        if trailing_metadata:
            self._trailing = _checked(trailing_metadata)
        raise grpc.aio.AbortError

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Sent together with the reply; once at most."""
        if self._metadata_sent:
            raise grpc.aio.UsageError("Send initial metadata failed: already sent")
        self._metadata_sent = True
        self._initial = _checked(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """What the caller gets after the reply."""
        self._trailing = _checked(trailing_metadata)

    def trailing_metadata(self) -> Any:
        """What was set."""
        return tuple(self._trailing)

    def invocation_metadata(self) -> tuple[Pair, ...]:
        """All pairs of the caller's metadata, in order."""
        trace = self.trace
        if trace is None:
            return tuple(self._pairs)
        return (*self._pairs, (TRACEPARENT, trace.header))

    def set_code(self, code: grpc.StatusCode) -> None:
        """The status that the call ends with when the handler returns."""
        self._code = code

    def code(self) -> grpc.StatusCode:
        """The status so far."""
        code: grpc.StatusCode = self._code
        return code

    def set_details(self, details: str) -> None:
        """The message of the status."""
        self._details = details

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
        """Whether the call has ended."""
        return self.is_done

    async def read(self) -> NoReturn:
        """Streams do not come over lanes."""
        raise grpc.aio.UsageError("a unary call has no stream to read from")

    async def write(self, message: Any) -> NoReturn:  # noqa: ARG002
        """Streams do not come over lanes."""
        raise grpc.aio.UsageError("a unary call has no stream to write to")


def _checked(metadata: Any) -> Sequence[Pair]:
    """Metadata as pairs, once it is sure that it can be sent."""
    pairs = tuple((str(key), value) for key, value in metadata)
    pack(pairs)
    return pairs


grpc.aio.ServicerContext.register(LaneContext)
