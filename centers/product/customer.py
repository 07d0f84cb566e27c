"""The customer centre as the product centre sees it: a source of grades."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from itertools import islice
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


MAX_TOGETHER: Final = 1_000
"""Customers asked for in one call."""

TIMEOUT_S: Final = 1.5
"""The longest that one call takes, whoever waits for it."""


class CustomerProfiles:
    """Asks the customer centre, as this service, for all who ask at a time.

    One call is under way at a time; who asks meanwhile is in the next one. So nobody
    gets an answer that was given before he asked.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: CustomerServiceAsyncStub = customer_pb2_grpc.CustomerServiceStub(channel)
        self._boarding: dict[int, asyncio.Future[Profile | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def profile(self, customer_id: int) -> Profile | None:
        """What suitability needs to know of the customer; None when there is none.

        Raises:
            MeshError: CUSTOMERS_UNAVAILABLE.
        """
        waiting = self._boarding.get(customer_id)
        if waiting is None:
            waiting = self._boarding[customer_id] = asyncio.get_running_loop().create_future()
            waiting.add_done_callback(_look_at_failure)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        try:
            # One who leaves must not take the answer away from the others.
            return await asyncio.shield(waiting)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY:
                raise
            away = ProductReason.CUSTOMERS_UNAVAILABLE
            raise MeshError(away, retry_after_s=RETRY_AFTER_S) from error

    async def _ask_all(self) -> None:
        """Ask, call after call, until nobody waits; begins with the next turn of the loop."""
        try:
            while self._boarding:
                aboard = dict(islice(self._boarding.items(), MAX_TOGETHER))
                for customer_id in aboard:
                    del self._boarding[customer_id]
                await self._ask(aboard)
        finally:
            self._asking = None

    async def _ask(self, aboard: Mapping[int, asyncio.Future[Profile | None]]) -> None:
        request = customer_pb2.BatchGetCustomersRequest(customer_ids=aboard)
        try:
            with context.using(context.EMPTY):  # neither the user nor the deadline of one counts
                answer = await self._stub.BatchGetCustomers(request, timeout=TIMEOUT_S)
            found = {customer.customer_id: _profile(customer) for customer in answer.customers}
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            for waiting in aboard.values():
                waiting.set_exception(error)
            return
        for customer_id, waiting in aboard.items():
            waiting.set_result(found.get(customer_id))


def _look_at_failure(waiting: asyncio.Future[Profile | None]) -> None:
    """Those who waited have it; they may all have left."""
    with suppress(asyncio.CancelledError):
        waiting.exception()


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
