"""Spans and counters as the runtime sees them, with an implementation that does nothing.

`observability` implements `Tracer` and reads `Meters`; nothing else needs it.
Counting costs plain integer additions: OpenTelemetry reads them when it
exports and is never called per call.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""

TRACE_BYTES: Final = 25
_FLAGS_AT: Final = TRACE_BYTES - 1
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_NOT_ZERO: Final = 1 << 64 | 1
"""In the bits of a trace id and a span id: neither may be nothing but zeros."""
_NO_VERSION: Final = b"\xff"
_ENDS: Final = ("", "-")


class SpanKind(Enum):
    """What a span is to its trace; values are OpenTelemetry's numbers."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """Where in which trace we are (W3C Trace Context).

    `raw` has the trace id (16 bytes, big-endian), the span id (8) and the flags (1): so
    lanes carry it.
    """

    raw: bytes
    sampled: bool

    @classmethod
    def of(cls, trace_id: int, span_id: int, *, sampled: bool) -> Self:
        """The context with these ids."""
        ids = trace_id << 64 | span_id
        return cls((ids << 8 | sampled).to_bytes(TRACE_BYTES, "big"), sampled)

    @classmethod
    def root(cls, *, sampled: bool) -> Self:
        """The start of a new trace."""
        bits = random.getrandbits(192) | _NOT_ZERO
        return cls((bits << 8 | sampled).to_bytes(TRACE_BYTES, "big"), sampled)

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
        """Read `raw` of another; None when it is no such thing. Flags that we do not know go."""
        if len(raw) != TRACE_BYTES or raw[:16] == _NO_TRACE or raw[16:24] == _NO_SPAN:
            return None
        flags = raw[_FLAGS_AT]
        if flags > 1:
            raw = raw[:_FLAGS_AT] + (b"\1" if flags & 1 else b"\0")
        return cls(raw, flags & 1 == 1)

    def child(self) -> TraceContext:
        """The context of a new step in the same trace."""
        span_id = (random.getrandbits(64) | 1).to_bytes(8, "big")
        return TraceContext(self.raw[:16] + span_id + self.raw[_FLAGS_AT:], self.sampled)

    @property
    def trace_id(self) -> int:
        """Of the trace; 128 bits."""
        return int.from_bytes(self.raw[:16], "big")

    @property
    def span_id(self) -> int:
        """Of the step; 64 bits."""
        return int.from_bytes(self.raw[16:24], "big")

    @property
    def header(self) -> str:
        """The `traceparent` header."""
        text = self.raw.hex()
        return f"00-{text[:32]}-{text[32:48]}-{text[48:]}"

    @property
    def trace_hex(self) -> str:
        """The trace id as 32 hexadecimal digits."""
        return self.raw[:16].hex()


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


def enter_trace(context: TraceContext) -> None:
    """Make `context` the current one for the rest of this task, without a span."""
    _current.set(context)


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
        # A stream that nobody read to its end is closed in another context, where nothing is
        # to be put back.
        with suppress(ValueError):
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
