"""Spans and counters as the runtime sees them, with an implementation that does nothing.

`observability` implements `Tracer` and reads `Meters`; nothing else needs it.
Counting costs plain integer additions: OpenTelemetry reads them when it
exports and is never called per call.
"""

from __future__ import annotations

import random
import struct
from bisect import bisect_left
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""

_BINARY: Final = struct.Struct(">QQQB")
TRACE_BYTES: Final = _BINARY.size
_pack, _unpack = _BINARY.pack, _BINARY.unpack
_LOW_HALF: Final = 2**64 - 1
_NO_VERSION: Final = b"\xff"
_ENDS: Final = ("", "-")


class SpanKind(Enum):
    """What a span is to its trace; values are OpenTelemetry's numbers."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """Where in which trace we are (W3C Trace Context)."""

    trace_id: int
    span_id: int
    sampled: bool

    @classmethod
    def root(cls, *, sampled: bool) -> Self:
        """The start of a new trace."""
        return cls(random.getrandbits(128) or 1, random.getrandbits(64) or 1, sampled)

    @classmethod
    def parse(cls, header: str) -> Self | None:
        """Read a `traceparent` header; None when it is not one."""
        text = header.strip()
        if not text[2:3] == text[35:36] == text[52:53] == "-" or text[55:56] not in _ENDS:
            return None
        try:
            raw = bytes.fromhex(text[:55].replace("-", ""))
        except ValueError:
            return None
        return None if raw.startswith(_NO_VERSION) else cls.from_bytes(raw[1:])

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self | None:
        """Read what `to_bytes` wrote; None when `raw` is no such thing."""
        if len(raw) != TRACE_BYTES:
            return None
        high, low, span_id, flags = _unpack(raw)
        trace_id = high << 64 | low
        return cls(trace_id, span_id, flags & 1 == 1) if trace_id and span_id else None

    def to_bytes(self) -> bytes:
        """The 25 bytes of a lane: trace id (16, big-endian), span id (8), flags (1)."""
        trace_id = self.trace_id
        return _pack(trace_id >> 64, trace_id & _LOW_HALF, self.span_id, self.sampled)

    @property
    def header(self) -> str:
        """The `traceparent` header."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"

    @property
    def trace_hex(self) -> str:
        """The trace id as 32 hexadecimal digits."""
        return f"{self.trace_id:032x}"


class Span(Protocol):
    """One timed step. Entering makes it the current one of the task."""

    @property
    def context(self) -> TraceContext:
        """What a step further down continues."""

    def set(self, key: str, value: str | float | bool) -> None:
        """Add an attribute. Never personal data."""

    def fail(self, reason: str) -> None:
        """Mark the step as failed."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; an exception marks it as failed."""


class Tracer(Protocol):
    """Begins spans. Sampling is decided before any span object exists."""

    def root(self) -> TraceContext:
        """A new trace, sampled or not as the settings say."""

    def span(self, name: str, kind: SpanKind, parent: TraceContext) -> Span:
        """A step within `parent`; free when that is not sampled."""


_current: ContextVar[TraceContext | None] = ContextVar("engine_trace", default=None)


def current_trace() -> TraceContext | None:
    """The trace context of this task; None outside any."""
    return _current.get()


def enter_trace(context: TraceContext) -> Token[TraceContext | None]:
    """Make `context` the current one of this task, without a span: `leave_trace` ends it."""
    return _current.set(context)


def leave_trace(token: Token[TraceContext | None]) -> None:
    """Make that trace context the current one which was so before `enter_trace`."""
    _current.reset(token)


class NullSpan:
    """A span of a trace that is not sampled: carries its context, records nothing."""

    __slots__ = ("_token", "context")

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    def set(self, key: str, value: str | float | bool) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass

    def __enter__(self) -> Self:
        self._token = _current.set(self.context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.reset(self._token)


class NullTracer:
    """Never samples."""

    def root(self) -> TraceContext:
        return TraceContext.root(sampled=False)

    def span(self, name: str, kind: SpanKind, parent: TraceContext) -> Span:  # noqa: ARG002
        return NullSpan(parent)


class CallStats:
    """Calls of one method that ended with one code: count, seconds, histogram."""

    __slots__ = ("buckets", "count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)

    def add(self, seconds: float) -> None:
        """Count one call that took `seconds`."""
        self.count += 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int = 1) -> None:
        """Add `amount`."""
        self.value += amount


@dataclass(slots=True)
class Meters:
    """All numbers of one process. Names are dotted, units in the name: `sequencer.ids_leased`."""

    calls: dict[tuple[str, str, str], CallStats] = field(default_factory=dict)
    counters: dict[str, Counter] = field(default_factory=dict)
    totals: dict[str, Callable[[], int]] = field(default_factory=dict)
    gauges: dict[str, Callable[[], float]] = field(default_factory=dict)

    def call(self, side: str, method: str, code: str) -> CallStats:
        """Statistics of calls: side is "server" or "client", method "/package.Service/Method"."""
        key = (side, method, code)
        stats = self.calls.get(key)
        if stats is None:
            stats = self.calls[key] = CallStats()
        return stats

    def counter(self, name: str) -> Counter:
        """The counter of that name."""
        return self.counters.setdefault(name, Counter())

    def total(self, name: str, read: Callable[[], int]) -> None:
        """A counter that is kept elsewhere: let `read` be asked for it at each export."""
        self.totals[name] = read

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Let `read` be asked for the value of `name` at each export."""
        self.gauges[name] = read


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a service is given to be observed by."""

    tracer: Tracer = field(default_factory=NullTracer)
    meters: Meters = field(default_factory=Meters)
