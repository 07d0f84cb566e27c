"""What every request passes on its way to its target."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import reduce
from time import perf_counter
from typing import Final, Protocol

import grpc

from gateway import problems
from gateway.errors import GatewayReason
from gateway.exchange import Exchange
from gateway.http import Response
from gateway.limits import OpenLimiter, Rate
from gateway.problems import Problem
from mesh.errors import MeshError, MeshReason
from mesh.log import get_logger
from mesh.settings import Settings
from mesh.telemetry import Meters, SpanKind, Telemetry, TraceContext
from mesh.tokens import TokenVerifier

ANONYMOUS_BURST_S: Final = 2.0
"""What an address without a token may send at once, in seconds of its rate."""

Next = Callable[[Exchange], Awaitable[Response]]

_log = get_logger(__name__)


class Filter(Protocol):
    """A step of the chain."""

    async def __call__(self, exchange: Exchange, call_next: Next) -> Response:
        """Answer, or let the rest of the chain answer."""


def chain(
    settings: Settings, telemetry: Telemetry, verifier: TokenVerifier, limiter: OpenLimiter
) -> Next:
    """The filters, wired to the target of each exchange."""
    filters: Sequence[Filter] = (
        # Outside everything: what is refused is counted and traced like what is served.
        Observe(telemetry),
        # Turns whatever is raised further in into an answer.
        Explain(telemetry.meters),
        # Who asks. Before the limit, which is kept for each caller.
        Authenticate(verifier),
        # Before the permission: trying doors must cost something too.
        Limit(settings, limiter),
        # Last: a target that may not be called is never reached.
        Permit(verifier),
    )
    last: Next = _answer
    return reduce(_wrap, reversed(filters), last)


def _wrap(call_next: Next, step: Filter) -> Next:
    return lambda exchange: step(exchange, call_next)


async def _answer(exchange: Exchange) -> Response:
    return await exchange.target.answer(exchange)


class Observe:
    """Continues the client's trace, or begins one, and counts and times the request."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer
        self._meters = telemetry.meters

    async def __call__(self, exchange: Exchange, call_next: Next) -> Response:
        started, status = perf_counter(), 499
        label = exchange.target.label
        parent = TraceContext.parse(exchange.request.header(b"traceparent"))
        try:
            with self._tracer.span(
                f"HTTP {label}", SpanKind.SERVER, parent or self._tracer.root()
            ) as span:
                exchange.trace = span.context
                response = await call_next(exchange)
                status = response.status
                span.set("http.response.status_code", status)
                if status >= 500:
                    span.fail(str(status))
        finally:
            self._meters.call("http", label, str(status)).add(perf_counter() - started)
        traced = (
            (b"traceparent", exchange.trace.header.encode("ascii")),
            (b"x-trace-id", exchange.trace_id.encode("ascii")),
        )
        return replace(response, headers=(*response.headers, *exchange.headers, *traced))


class Explain:
    """Answers errors with problem+json; unexpected ones with an incident id and nothing else."""

    def __init__(self, meters: Meters) -> None:
        self._incidents = meters.counter("gateway.incidents")

    async def __call__(self, exchange: Exchange, call_next: Next) -> Response:
        try:
            return await call_next(exchange)
        except MeshError as error:
            problem = problems.of_error(error)
        except grpc.RpcError as error:
            problem = problems.of_call(error)
        except Exception as error:  # noqa: BLE001 - the outermost boundary
            problem = self._incident(exchange, error)
        language = exchange.request.header(b"accept-language")
        return problem.response(accept_language=language, trace_id=exchange.trace_id)

    def _incident(self, exchange: Exchange, error: Exception) -> Problem:
        incident = secrets.token_hex(6)
        self._incidents.add()
        _log.error(
            "request_failed",
            route=exchange.target.label,
            incident=incident,
            error=type(error).__name__,
            exc_info=error,
        )
        return problems.of_error(MeshError(MeshReason.INTERNAL, metadata={"incident": incident}))


class Authenticate:
    """Verifies the bearer token.

    A bad one is not refused yet: it counts against the address it came from first,
    and where none is needed it counts as none.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def __call__(self, exchange: Exchange, call_next: Next) -> Response:
        try:
            token = _bearer(exchange.request.header(b"authorization"))
            exchange.principal = self._verifier.user(token)
            exchange.token = token
        except MeshError as error:
            exchange.unproven = error
        return await call_next(exchange)


class Limit:
    """Keeps each caller to his rate: users by name, others by address."""

    def __init__(self, settings: Settings, limiter: OpenLimiter) -> None:
        per_s = settings.sign_on_rate_per_s
        self._user_rate = Rate(per_s=settings.rate_per_s, burst=settings.rate_burst)
        self._address_rate = Rate(per_s=per_s, burst=max(1.0, per_s * ANONYMOUS_BURST_S))
        self._users = limiter("user", self._user_rate)
        self._addresses = limiter("address", self._address_rate)

    async def __call__(self, exchange: Exchange, call_next: Next) -> Response:
        cost = exchange.target.cost
        if exchange.principal is not None:
            limiter, rate, caller = self._users, self._user_rate, exchange.principal.subject
        else:
            limiter, rate, caller = self._addresses, self._address_rate, exchange.request.client
        wait_s = await limiter.take(caller, cost) if cost else 0.0
        if wait_s:
            window_s = max(1, round(rate.burst * rate.interval_s))
            policy = f'"default";q={int(rate.burst)};w={window_s}'
            exchange.headers += (
                (b"ratelimit-policy", policy.encode("ascii")),
                (b"ratelimit", f'"default";r=0;t={max(1, round(wait_s))}'.encode("ascii")),
            )
            raise MeshError(GatewayReason.RATE_LIMITED, retry_after_s=wait_s)
        return await call_next(exchange)


class Permit:
    """Refuses callers without the permission; the service checks it once more.

    While no news of ended rights comes in, it lets nobody change anything.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._pulse = verifier.pulse

    async def __call__(self, exchange: Exchange, call_next: Next) -> Response:
        if not exchange.target.anonymous:
            self._check(exchange)
        return await call_next(exchange)

    def _check(self, exchange: Exchange) -> None:
        target = exchange.target
        if exchange.unproven is not None:
            raise exchange.unproven
        if exchange.principal is None or target.permission not in exchange.principal.permissions:
            raise MeshError(
                MeshReason.PERMISSION_DENIED,
                f"The permission '{target.permission}' is missing",
                metadata={"permission": target.permission},
            )
        if not target.reads and self._pulse.is_silent:
            raise MeshError(MeshReason.RIGHTS_UNCERTAIN)


def _bearer(header: str) -> str:
    if not header:
        raise MeshError(MeshReason.UNAUTHENTICATED)
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise MeshError(MeshReason.TOKEN_INVALID, "Authorization must be 'Bearer <token>'")
    return token.strip()
