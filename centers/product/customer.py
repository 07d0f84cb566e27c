"""The customer centre as the product centre sees it: a source of grades."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final

import grpc

from centers.product.domain import Profile
from centers.product.errors import ProductReason
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from mesh import context
from mesh.errors import MeshError

if TYPE_CHECKING:
    from engine.customer.v1.customer_pb2_grpc import CustomerServiceAsyncStub

RETRY_AFTER_S: Final = 1.0
_AWAY: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class CustomerProfiles:
    """Asks the customer centre, as this service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: CustomerServiceAsyncStub = customer_pb2_grpc.CustomerServiceStub(channel)

    async def profile(self, customer_id: int) -> Profile | None:
        """What suitability needs to know of the customer; None when there is none.

        Raises:
            MeshError: CUSTOMERS_UNAVAILABLE.
        """
        request = customer_pb2.BatchGetCustomersRequest(customer_ids=[customer_id])
        try:
            with context.as_service():
                answer = await self._stub.BatchGetCustomers(request)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY:
                raise
            away = ProductReason.CUSTOMERS_UNAVAILABLE
            raise MeshError(away, retry_after_s=RETRY_AFTER_S) from error
        return _profile(answer.customers[0]) if answer.customers else None


def _profile(customer: customer_pb2.Customer) -> Profile:
    expiry = None
    if customer.HasField("risk_grade_expire_time"):
        expiry = customer.risk_grade_expire_time.ToDatetime(tzinfo=UTC)
    return Profile(
        customer_id=customer.customer_id,
        tier=customer.tier,
        risk_grade=customer.risk_grade,
        grade_expiry=expiry,
        senior=customer.senior,
    )
