"""Audited methods of the customer contract, bound to the real chain's steps on a real store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import context_pb2, policy_pb2
from engine.mesh.v1.event_pb2 import AuditRecord, Event
from mesh import contract
from mesh.audit import AuditLog
from mesh.call import Call, Handler
from mesh.context import Principal, RequestContext
from mesh.contract import Method
from mesh.deadline import Deadline
from mesh.interceptors.audit import AuditInterceptor
from mesh.interceptors.deadline import DeadlineInterceptor
from mesh.interceptors.idempotency import IdempotencyInterceptor
from mesh.storage import SQLiteStore
from mesh.telemetry import TraceContext
from mesh.tokens import ServiceKey

CUSTOMER = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
MANAGER = Principal(subject="rm001", permissions=frozenset(), staff_id=7, branch_id=3)
CONTEXT = RequestContext(
    principal=MANAGER,
    service="gateway",
    purpose="service",
    chain=context_pb2.ChainIds(task_id=5),
)
TRACE = TraceContext.of(1, 2, sampled=True)


def method(name: str, **policy: Any) -> Method:
    """A method of the customer contract, with changes to its policy."""
    read = contract.method(CUSTOMER.methods_by_name[name])
    changed = policy_pb2.MethodPolicy()
    changed.CopyFrom(read.policy)
    changed.MergeFrom(policy_pb2.MethodPolicy(**policy))
    return replace(read, policy=changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Serves audited calls and shows what they left behind."""

    store: SQLiteStore
    log: AuditLog
    key: ServiceKey

    async def call(
        self,
        called: Method,
        handler: Callable[[Any], Any],
        request: Any,
        *,
        context: RequestContext = CONTEXT,
        timeout_s: float = 60.0,
    ) -> Any:
        """What the caller gets from a handler within deadline, audit and idempotency."""

        async def last(call: Call, request: Any) -> Any:
            return await handler(request)

        bound: Handler = IdempotencyInterceptor(self.key).bind(called, last)
        bound = AuditInterceptor(self.log).bind(called, bound)
        bound = DeadlineInterceptor().bind(called, bound)
        transport: Any = None
        call = Call(
            method=called,
            transport=transport,
            metadata={},
            deadline=Deadline.after(timeout_s),
            trace=TRACE,
            context=context,
        )
        return await bound(call, request)

    async def events(self) -> list[Event]:
        """All that was published, in its order."""
        return [Event.FromString(raw) for _, raw in await self.store.outbox.read(100)]

    async def records(self) -> list[AuditRecord]:
        """The records among it."""
        return [AuditRecord.FromString(one.payload) for one in await self.events()]
