"""Every call is counted once, and stands in its caller's trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from engine.customer.v1 import customer_pb2
from mesh import contract
from mesh.call import Call
from mesh.deadline import Deadline
from mesh.errors import MeshError, MeshReason
from mesh.interceptors.errors import StatusError
from mesh.interceptors.telemetry import TelemetryInterceptor
from mesh.telemetry import NullSpan, Span, SpanKind, Telemetry, TraceContext, current_trace

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
UNARY = contract.method(CUSTOMERS.methods_by_name["GetCustomer"])
STREAM = replace(UNARY, server_streaming=True)
SAMPLED = TraceContext.of(1, 2, sampled=True)
UNSAMPLED = TraceContext.of(1, 2, sampled=False)


class Recorded(NullSpan):
    """A span that keeps what it is told."""

    __slots__ = ("attributes", "failures", "name")

    def __init__(self, name: str, context: TraceContext) -> None:
        super().__init__(context)
        self.name = name
        self.attributes: dict[str, object] = {}
        self.failures: list[str] = []

    def set(self, key: str, value: object) -> None:
        self.attributes[key] = value

    def fail(self, reason: str) -> None:
        self.failures.append(reason)


class Desk:
    """Calls through the interceptor; its tracer keeps all spans that it is asked for."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(tracer=self)
        self.spans: list[Recorded] = []
        self.seen: list[TraceContext | None] = []

    def root(self) -> TraceContext:
        return TraceContext.of(7, 8, sampled=False)

    def span(self, name: str, kind: SpanKind, parent: TraceContext) -> Span:
        assert kind is SpanKind.SERVER
        span = Recorded(name, below(parent))
        self.spans.append(span)
        return span

    @property
    def counts(self) -> dict[str, int]:
        """How many calls have ended with each code."""
        calls = self.telemetry.meters.calls
        assert {key[:2] for key in calls} <= {("server", UNARY.path)}
        return {code: stats.count for (_, _, code), stats in calls.items()}

    async def call(
        self,
        trace: TraceContext | None,
        error: BaseException | None = None,
        *,
        left_s: float = 5,
    ) -> Call:
        async def handler(call: Call, request: Any) -> Any:
            self.seen.append(current_trace())
            if error is not None:
                raise error
            return "answer"

        call = made(UNARY, trace, left_s)
        bound = TelemetryInterceptor(self.telemetry).bind(UNARY, handler)
        assert await bound(call, None) == "answer"
        return call

    async def stream(self, trace: TraceContext | None, error: BaseException | None = None) -> Any:
        async def answers() -> AsyncIterator[str]:
            self.seen.append(current_trace())
            yield "answer"
            if error is not None:
                raise error

        async def handler(call: Call, request: Any) -> Any:
            return answers()

        bound = TelemetryInterceptor(self.telemetry).bind(STREAM, handler)
        return [answer async for answer in await bound(made(STREAM, trace), None)]


def made(method: contract.Method, trace: TraceContext | None, left_s: float = 5) -> Call:
    transport: Any = None
    return Call(
        method=method,
        transport=transport,
        metadata={},
        deadline=Deadline.after(left_s),
        trace=trace,
    )


def below(parent: TraceContext) -> TraceContext:
    return TraceContext.of(parent.trace_id, parent.span_id + 1, sampled=parent.sampled)


def refusal() -> StatusError:
    return StatusError(MeshError(MeshReason.OUT_OF_SCOPE).to_status())


async def test_calls_are_counted_by_how_they_end() -> None:
    """Answered, refused and cancelled ones, whether they are traced or not."""
    desk = Desk()
    for trace in (SAMPLED, UNSAMPLED, None):
        await desk.call(trace)
        with pytest.raises(StatusError):
            await desk.call(trace, refusal())
        with pytest.raises(asyncio.CancelledError):
            await desk.call(trace, asyncio.CancelledError())
    assert desk.counts == {"OK": 3, "NOT_FOUND": 3, "CANCELLED": 3}


async def test_a_call_that_is_cancelled_at_its_deadline_has_exceeded_it() -> None:
    """The transport's timer may ring before ours: it is no client that went away."""
    desk = Desk()
    with pytest.raises(asyncio.CancelledError):
        await desk.call(UNSAMPLED, asyncio.CancelledError(), left_s=0)
    assert desk.counts == {"DEADLINE_EXCEEDED": 1}


async def test_streams_are_counted_by_how_they_end() -> None:
    """Once each, however many messages they have."""
    desk = Desk()
    assert await desk.stream(SAMPLED) == ["answer"]
    with pytest.raises(StatusError):
        await desk.stream(SAMPLED, refusal())
    with pytest.raises(asyncio.CancelledError):
        await desk.stream(SAMPLED, asyncio.CancelledError())
    assert desk.counts == {"OK": 1, "NOT_FOUND": 1, "CANCELLED": 1}


async def test_a_call_of_a_sampled_trace_has_a_span() -> None:
    """It is below the caller's, current in the handler, and says how the call failed."""
    desk = Desk()
    await desk.call(SAMPLED)
    with pytest.raises(StatusError):
        await desk.call(SAMPLED, refusal())
    good, bad = desk.spans
    assert (good.name, good.failures) == (UNARY.path.lstrip("/"), [])
    assert (bad.failures, bad.attributes) == (["NOT_FOUND"], {"rpc.grpc.status": "NOT_FOUND"})
    assert desk.seen == [good.context, bad.context]


async def test_a_call_of_another_trace_has_no_span_and_stands_in_it_all_the_same() -> None:
    """Its log lines and the calls it makes name the trace, for as long as its task runs."""
    desk = Desk()
    await asyncio.create_task(desk.call(UNSAMPLED))
    with pytest.raises(StatusError):
        await asyncio.create_task(desk.call(UNSAMPLED, refusal()))
    assert desk.seen == [UNSAMPLED, UNSAMPLED]
    assert current_trace() is None
    assert not desk.spans


async def test_a_call_without_a_trace_begins_one() -> None:
    """As the tracer decides; audit records find it in the call."""
    desk = Desk()
    call = await desk.call(None)
    assert call.trace == desk.root()
    assert desk.seen == [desk.root()]
