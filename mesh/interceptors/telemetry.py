"""Counts and traces every call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any

from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.interceptors.errors import StatusError
from mesh.telemetry import CallStats, Meters, SpanKind, Telemetry, enter_trace


class TelemetryInterceptor:
    """Continues the caller's trace, or begins one, and measures the call."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer
        self._meters = telemetry.meters

    def bind(self, method: Method, call_next: Handler) -> Handler:
        root, observe = self._tracer.root, _observer(self._meters, method)
        traced = self._traced(method, call_next)

        async def unary(call: Call, request: Any) -> Any:
            started, code = perf_counter(), "OK"
            trace = call.trace
            if trace is None:
                trace = call.trace = root()
            try:
                if trace.sampled:
                    return await traced(call, request)
                enter_trace(trace)  # for the rest of the task, which serves this call alone
                return await call_next(call, request)
            except StatusError as error:
                code = error.code.name
                raise
            except BaseException:
                code = _cancelled(call)
                raise
            finally:
                observe(started, code)

        return self._streaming(method, call_next) if method.server_streaming else unary

    def _traced(self, method: Method, call_next: Handler) -> Handler:
        """The step for calls of a sampled trace."""
        name, tracer = method.path.lstrip("/"), self._tracer

        async def traced(call: Call, request: Any) -> Any:
            assert call.trace is not None
            with tracer.span(name, SpanKind.SERVER, call.trace) as span:
                try:
                    return await call_next(call, request)
                except StatusError as error:
                    span.set("rpc.grpc.status", error.code.name)
                    span.fail(error.code.name)
                    raise

        return traced

    def _streaming(self, method: Method, call_next: Handler) -> Handler:
        name, tracer = method.path.lstrip("/"), self._tracer
        observe = _observer(self._meters, method)

        async def stream(call: Call, request: Any) -> Any:
            call.trace = call.trace or tracer.root()
            return measured(call, request)

        async def measured(call: Call, request: Any) -> AsyncIterator[Any]:
            started, code = perf_counter(), ""
            assert call.trace is not None
            try:
                with tracer.span(name, SpanKind.SERVER, call.trace) as span:
                    try:
                        async for response in await call_next(call, request):
                            yield response
                    except StatusError as error:
                        code = error.code.name
                        span.fail(code)
                        raise
                code = "OK"
            finally:
                observe(started, code or _cancelled(call))

        return stream


def _cancelled(call: Call) -> str:
    """The code of a call that was cancelled from outside."""
    return "DEADLINE_EXCEEDED" if call.deadline.is_over else "CANCELLED"


def _observer(meters: Meters, method: Method) -> Callable[[float, str], None]:
    """Counts a call that started at a time (`perf_counter`) and ends now with a code."""
    path = method.path
    counted: dict[str, CallStats] = {}

    def observe(started: float, code: str) -> None:
        stats = counted.get(code)
        if stats is None:
            stats = counted[code] = meters.call("server", path, code)
        stats.add(perf_counter() - started)

    return observe
