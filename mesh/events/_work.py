"""One event being consumed: for whom, as part of what, and what it changes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from engine.mesh.v1.bus_pb2 import LoggedEvent
from mesh import context
from mesh.context import RequestContext
from mesh.deadline import Deadline
from mesh.events._subscription import Effect
from mesh.telemetry import NullSpan, SpanKind, TraceContext, Tracer

REACTION_S: Final = 30.0
"""How long the calls of one reaction may take together."""

_NO_SPAN: Final = nullcontext()


class Work:
    """An event on its way through a consumer.

    `key` orders it: an event without a key is in order with itself alone.
    `effect` is what its reaction decided, once it has. `trace` is that of its change.
    """

    __slots__ = ("context", "effect", "event", "key", "logged", "trace")

    def __init__(self, logged: LoggedEvent) -> None:
        self.logged = logged
        self.event = event = logged.event
        self.key = event.key or f"\0{event.event_id}"
        self.effect: Effect | None = None
        self.context = context.EMPTY
        self.trace = TraceContext.parse(event.traceparent) if event.traceparent else None

    def begin(self) -> context.using:
        """A block as the service itself, on behalf of the event's actor, from now on bounded."""
        event = self.event
        self.context = RequestContext(
            on_behalf_of=event.actor,
            chain=event.chain,
            business_date=event.business_date,
            deadline=Deadline.after(REACTION_S),
        )
        return context.using(self.context)

    def resume(self) -> context.using:
        """A block as it was when it was decided upon."""
        return context.using(self.context)

    def span(self, tracer: Tracer, step: str) -> AbstractContextManager[Any]:
        """A block that continues the event's trace; a span of it when that is sampled."""
        if self.trace is None:
            return _NO_SPAN
        if not self.trace.sampled:
            return NullSpan(self.trace)
        return tracer.span(f"{step} {self.event.type}", SpanKind.INTERNAL, self.trace)
