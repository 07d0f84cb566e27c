"""One request on its way through the gateway, and where it leads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.http import Header, Request, Response
from mesh.context import Principal
from mesh.errors import MeshError
from mesh.telemetry import TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a route leads to, and who may go there.

    Args:
        label: name for spans and statistics: "GET /v1/customers/{customer_id}".
        answer: makes the response; raises MeshError or grpc.RpcError.
        permission: what a caller needs; not looked at when `anonymous`.
        anonymous: whether nobody needs to be signed on.
        reads: whether it changes nothing.
        cost: tokens that one request takes from the caller's rate limit; 0 for none.
    """

    label: str
    answer: Callable[[Exchange], Awaitable[Response]]
    permission: str = ""
    anonymous: bool = False
    reads: bool = False
    cost: int = 1


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request with what the filters learn about it.

    `values` are those of the route's path variables. `unproven` says why there is
    no principal. `headers` go out with the answer, whatever it is.
    """

    request: Request
    target: Target
    values: tuple[str, ...] = ()
    trace: TraceContext | None = None
    principal: Principal | None = None
    token: str = ""
    unproven: MeshError | None = None
    headers: list[Header] = field(default_factory=list)

    @property
    def trace_id(self) -> str:
        """The trace id; empty before the trace has begun."""
        return self.trace.trace_hex if self.trace else ""
