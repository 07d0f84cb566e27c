"""One call on its way through the server: what the interceptor chain hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from mesh.context import EMPTY, RequestContext
from mesh.contract import Method
from mesh.deadline import Deadline
from mesh.telemetry import TraceContext


@dataclass(slots=True, kw_only=True)
class Call:
    """A call being served.

    `metadata` has the text entries as received. `context` is filled by the
    identity interceptor; handlers read it as `mesh.context.current()`.
    `transport` is the servicer context that handlers are given.
    """

    method: Method
    transport: grpc.aio.ServicerContext[Any, Any]
    metadata: Mapping[str, str | bytes]
    deadline: Deadline
    trace: TraceContext | None = None
    context: RequestContext = field(default=EMPTY)

    def text(self, key: str) -> str:
        """A text entry of the metadata; empty when there is none."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""


class Handler(Protocol):
    """Answers a call: a response message, or an async iterator of them for server streams."""

    async def __call__(self, call: Call, request: Any) -> Any:
        """`request` is a message, or an async iterator of messages for client streams."""


class Interceptor(Protocol):
    """A step of the chain. Bound once to each method, so that it can leave itself out."""

    def bind(self, method: Method, call_next: Handler) -> Handler:
        """The handler for `method` that does this step and then calls `call_next`."""
