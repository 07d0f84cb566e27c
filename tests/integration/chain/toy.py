"""A service that answers with what the chain told it, and those who call it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import policy_pb2, trust_pb2
from mesh import ErrorView, MeshError, MeshReason, Principal
from mesh import context as wire
from mesh.storage import Store
from mesh.telemetry import Telemetry
from mesh.testing import Mesh

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.Text))
OWN = policy_pb2.SCOPE_OWN_BOOK


@dataclass
class Toy:
    """Answers with what the chain told it. Customer 13 is unlucky, 14 is slow."""

    store: Store
    telemetry: Telemetry
    seen: list[wire.RequestContext] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def GetCustomer(self, request: Any, _: Any) -> Any:
        self.seen.append(wire.current())
        if request.customer_id == 13:
            raise ValueError("secret text 13800001111")
        if request.customer_id == 14:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return customer_pb2.GetCustomerResponse(
            customer=customer_pb2.Customer(customer_id=request.customer_id)
        )

    async def ListCustomers(self, request: Any, _: Any) -> Any:
        self.seen.append(wire.current())
        return customer_pb2.ListCustomersResponse()

    async def CreateFollowUp(self, request: Any, _: Any) -> Any:
        async with self.store.transaction() as tx:
            await tx.execute(sa.insert(NOTES), {"text": request.follow_up.summary})
            count = len(await tx.fetch_all(sa.select(NOTES)))
            response = customer_pb2.CreateFollowUpResponse(
                follow_up=customer_pb2.FollowUp(follow_up_id=count)
            )
            tx.answer(response)
        return response

    async def Query(self, request: Any, _: Any) -> Any:
        self.seen.append(wire.current())
        return ark_pb2.QueryResponse()

    async def WatchRevocations(self, request: Any, _: Any) -> AsyncIterator[Any]:
        yield trust_pb2.WatchRevocationsResponse()
        raise MeshError(MeshReason.OVERLOADED, retry_after_s=2)

    async def PollRevocations(self, request: Any, _: Any) -> Any:
        return trust_pb2.PollRevocationsResponse()

    async def GetKeySet(self, request: Any, _: Any) -> Any:
        return trust_pb2.GetKeySetResponse()

    GetPortrait = GetFollowUp = ListFollowUps = UpdateFollowUp = GetCustomer
    BatchGetCustomers = ImportCustomers = GetStatistics = GetCustomer

    async def in_scope(self, principal: Principal, scope: wire.Scope, row: int) -> bool:
        """Customers below 100 belong to whoever asks."""
        return scope >= OWN and row < 100


def rm_token(mesh: Mesh, subject: str = "rm001", ttl_s: float = 300) -> str:
    """A token of a manager, who sees his own customers."""
    return mesh.token(
        subject,
        permissions={"customer.read", "customer.follow_up"},
        data_scope=OWN,
        staff_id=7,
        branch_id=1,
        ttl_s=ttl_s,
    )


def customers(mesh: Mesh, token: str = "", caller: str = "") -> Any:
    """The stub of who has a token, through a service or not."""
    return customer_pb2_grpc.CustomerServiceStub(mesh.channel("toy", token=token, caller=caller))


def get(customer_id: int) -> customer_pb2.GetCustomerRequest:
    """A request for one customer."""
    return customer_pb2.GetCustomerRequest(customer_id=customer_id)


async def refusal(call: Any) -> ErrorView:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)
