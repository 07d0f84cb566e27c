"""One event being consumed: for whom, as part of what, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from engine.mesh.v1.bus_pb2 import LoggedEvent
from mesh import context
from mesh.context import RequestContext
from mesh.deadline import Deadline
from mesh.events._subscription import Effect
from mesh.telemetry import NullSpan, Span, SpanKind, TraceContext, Tracer

REACTION_S: Final = 30.0
"""How long the calls of one reaction may take together."""


class Work:
    """An event on its way through a consumer.

    `key` orders it: an event without a key is in order with itself alone.
    """

    __slots__ = ("_context", "_trace", "effect", "event", "key", "logged")

    def __init__(self, logged: LoggedEvent) -> None:
        self.logged = logged
        self.event = logged.event
        self.key = self.event.key or f"\0{self.event.event_id}"
        self.effect: Effect | None = None
        self._context = context.EMPTY
        self._trace: TraceContext | None = None

    @contextmanager
    def running(self, tracer: Tracer) -> Iterator[None]:
        """As the service itself, on behalf of the event's actor, as part of its trace."""
        event = self.event
        self._context = RequestContext(
            on_behalf_of=event.actor,
            chain=event.chain,
            business_date=event.business_date,
            deadline=Deadline.after(REACTION_S),
        )
        parent = TraceContext.parse(event.traceparent)
        with context.using(self._context):
            if parent is None:
                yield
                return
            with self._span(tracer, parent) as span:
                self._trace = span.context
                yield

    @contextmanager
    def applying(self) -> Iterator[None]:
        """As it was while it was decided upon."""
        with context.using(self._context):
            if self._trace is None:
                yield
                return
            with NullSpan(self._trace):
                yield

    def _span(self, tracer: Tracer, parent: TraceContext) -> Span:
        if not parent.sampled:
            return NullSpan(parent)
        return tracer.span(f"consume {self.event.type}", SpanKind.INTERNAL, parent)
