"""Implementations to be served, and what their callers hear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2 import (
    Customer,
    GetCustomerRequest,
    GetCustomerResponse,
)
from engine.mesh.v1 import trust_pb2
from mesh import (
    ErrorView,
    current,
)

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
TRUST = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]
ASK = GetCustomerRequest(customer_id=7)
READ = {"customer.read"}


class Toy:
    """Answers, and remembers who asked for whom and what for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    async def GetCustomer(self, request: GetCustomerRequest, _context: Any) -> GetCustomerResponse:
        now = current()
        self.seen.append((now.user, now.service, now.purpose))
        return GetCustomerResponse(customer=Customer(customer_id=request.customer_id))


class Whole(Toy):
    """Has a handler for each method of the contract."""

    def __getattr__(self, _name: str) -> Any:
        return self.GetCustomer


class Ends:
    """Two sessions end."""

    async def WatchRevocations(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        for _ in range(2):
            yield trust_pb2.WatchRevocationsResponse()


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def reason(call: Any) -> str:
    return (await refusal(call)).reason
