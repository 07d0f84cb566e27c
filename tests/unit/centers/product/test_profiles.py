"""Grades of customers, asked for together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
import pytest

from centers.product.customer import MAX_TOGETHER, CustomerProfiles
from centers.product.errors import ProductReason
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from mesh.errors import MeshError


@dataclass
class Customers(customer_pb2_grpc.CustomerServiceServicer):
    """Knows the customers with even tokens, and keeps what it was asked."""

    asked: list[Sequence[int]] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    code: grpc.StatusCode | None = None

    async def BatchGetCustomers(
        self,
        request: customer_pb2.BatchGetCustomersRequest,
        call: grpc.aio.ServicerContext[
            customer_pb2.BatchGetCustomersRequest, customer_pb2.BatchGetCustomersResponse
        ],
    ) -> customer_pb2.BatchGetCustomersResponse:
        self.asked.append(list(request.customer_ids))
        self.busy.set()
        await self.free.wait()
        if self.code is not None:
            await call.abort(self.code, "")
        known = [one for one in reversed(request.customer_ids) if one % 2 == 0]
        return customer_pb2.BatchGetCustomersResponse(
            customers=[customer_pb2.Customer(customer_id=one) for one in known]
        )


@pytest.fixture
def centre() -> Customers:
    return Customers()  # type: ignore[abstract]


@pytest.fixture
async def profiles(centre: Customers) -> AsyncIterator[CustomerProfiles]:
    server = grpc.aio.server()
    customer_pb2_grpc.add_CustomerServiceServicer_to_server(centre, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield CustomerProfiles(channel)
    await server.stop(None)


async def test_who_asks_while_a_call_is_under_way_is_in_the_next_one(
    centre: Customers, profiles: CustomerProfiles
) -> None:
    """However many they are; each has his own customer, and nobody an older answer."""
    first = asyncio.create_task(profiles.profile(2))
    await centre.busy.wait()
    later = [asyncio.create_task(profiles.profile(one)) for one in (4, 6, 7, 4, 2)]
    await asyncio.sleep(0)
    centre.free.set()
    found = [await one for one in (first, *later)]
    assert [one and one.customer_id for one in found] == [2, 4, 6, None, 4, 2]
    assert centre.asked == [[2], [4, 6, 7, 2]]


async def test_one_call_asks_for_no_more_than_it_may(
    centre: Customers, profiles: CustomerProfiles
) -> None:
    """The rest is in the next one."""
    centre.free.set()
    tokens = range(2, 2 * MAX_TOGETHER + 6, 2)
    found = await asyncio.gather(*map(profiles.profile, tokens))
    assert [one.customer_id for one in found if one] == list(tokens)
    assert sorted(map(len, centre.asked)) == [len(tokens) - MAX_TOGETHER, MAX_TOGETHER]


async def test_a_centre_that_is_away_is_so_for_all_who_asked_and_for_nobody_later(
    centre: Customers, profiles: CustomerProfiles
) -> None:
    """The next call is made anew."""
    centre.free.set()
    centre.code = grpc.StatusCode.UNAVAILABLE
    found = await asyncio.gather(*map(profiles.profile, (2, 4)), return_exceptions=True)
    assert [isinstance(one, MeshError) and one.reason for one in found] == [
        ProductReason.CUSTOMERS_UNAVAILABLE
    ] * 2
    centre.code = None
    assert await profiles.profile(4)


async def test_who_leaves_does_not_take_the_answer_along(
    centre: Customers, profiles: CustomerProfiles
) -> None:
    """Two ask for the same customer, and one gives up."""
    leaver, stayer = (asyncio.create_task(profiles.profile(2)) for _ in range(2))
    await centre.busy.wait()
    leaver.cancel()
    centre.free.set()
    assert await stayer
