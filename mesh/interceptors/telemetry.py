"""Counts and traces every call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.interceptors.errors import StatusError
from mesh.telemetry import SpanKind, Telemetry


class TelemetryInterceptor:
    """Continues the caller's trace, or begins one, and measures the call."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer
        self._meters = telemetry.meters

    def bind(self, method: Method, call_next: Handler) -> Handler:
        span_name = method.path.lstrip("/")
        meters, tracer = self._meters, self._tracer

        def observe(started: float, code: str) -> None:
            meters.call("server", method.path, code).add(perf_counter() - started)

        async def unary(call: Call, request: Any) -> Any:
            started, code = perf_counter(), "CANCELLED"
            trace = call.trace = call.trace or tracer.root()
            try:
                with tracer.span(span_name, SpanKind.SERVER, trace) as span:
                    try:
                        response = await call_next(call, request)
                    except StatusError as error:
                        code = error.code.name
                        span.set("rpc.grpc.status", code)
                        span.fail(code)
                        raise
                code = "OK"
                return response
            finally:
                observe(started, code)

        async def stream(call: Call, request: Any) -> Any:
            call.trace = call.trace or tracer.root()
            return measured(call, request)

        async def measured(call: Call, request: Any) -> AsyncIterator[Any]:
            started, code = perf_counter(), "CANCELLED"
            assert call.trace is not None
            try:
                with tracer.span(span_name, SpanKind.SERVER, call.trace) as span:
                    try:
                        async for response in await call_next(call, request):
                            yield response
                    except StatusError as error:
                        code = error.code.name
                        span.fail(code)
                        raise
                code = "OK"
            finally:
                observe(started, code)

        return stream if method.server_streaming else unary
