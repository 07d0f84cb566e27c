"""One call on its way through the server: what the interceptor chain hands on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import Task
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import grpc
import msgspec

from mesh.context import EMPTY, RequestContext
from mesh.contract import Method
from mesh.deadline import Deadline
from mesh.telemetry import TraceContext


class Asked(Protocol):
    """What a call came with, beside its request. A lane's servicer context has it read already."""

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """The entries as received. It may be shared between calls: nobody changes it."""

    @property
    def trace(self) -> TraceContext | None:
        """The caller's place in his trace."""

    @property
    def deadline_at(self) -> float:
        """When he stops to wait, in seconds of `time.monotonic`; infinity: never."""

    @property
    def proven(self) -> str:
        """The service that the connection is proven to be of; empty when it proves none."""

    @property
    def task(self) -> Task[Any] | None:
        """The task that serves the call; None when it has to be asked for."""


class Call(msgspec.Struct, kw_only=True, eq=False):
    """A call being served.

    `metadata` has the entries as received, and is not to be changed. `context` is filled by the
    identity interceptor; handlers read it as `mesh.context.current()`.
    `transport` is the servicer context that handlers are given; `task` and `proven` as in `Asked`.
    """

    method: Method
    transport: grpc.aio.ServicerContext[Any, Any]
    metadata: Mapping[str, str | bytes]
    deadline: Deadline
    trace: TraceContext | None = None
    task: Task[Any] | None = None
    proven: str = ""
    context: RequestContext = EMPTY

    def text(self, key: str) -> str:
        """A text entry of the metadata; empty when there is none."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""


class Handler(Protocol):
    """Answers a call: a response message, or an async iterator of them for server streams."""

    def __call__(self, call: Call, request: Any) -> Awaitable[Any]:
        """`request` is a message, or an async iterator of messages for client streams."""


class Interceptor(Protocol):
    """A step of the chain. Bound once to each method, so that it can leave itself out."""

    def bind(self, method: Method, call_next: Handler) -> Handler:
        """The handler for `method` that does this step and then calls `call_next`."""


Check = Callable[[Call, Any], None]
"""Looks at a call and its request, and raises when it may not go on."""


class Guard(ABC):
    """A step that looks at a call before it goes on, and never at how it ends.

    Guards that follow each other are one coroutine: one for each costs a call as much as
    what they look at.
    """

    @abstractmethod
    def check(self, method: Method) -> Check | None:
        """What this step does for `method`; None: nothing."""

    def bind(self, method: Method, call_next: Handler) -> Handler:
        """The handler for `method` that does this step and then calls `call_next`."""
        check = self.check(method)
        if check is None:
            return call_next
        if isinstance(call_next, _Guarded):
            return _Guarded((check, *call_next.checks), call_next.call_next)
        return _Guarded((check,), call_next)


class _Guarded:
    """A handler behind checks."""

    __slots__ = ("call_next", "checks")

    def __init__(self, checks: tuple[Check, ...], call_next: Handler) -> None:
        self.checks = checks
        self.call_next = call_next

    async def __call__(self, call: Call, request: Any) -> Any:
        for check in self.checks:
            check(call, request)
        return await self.call_next(call, request)
