"""A service that resolves scopes by asking the customer centre, over real sockets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
import pytest

from centers.customer.app import BLUEPRINT as CUSTOMER
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import policy_pb2
from mesh.clock import ManualClock
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.ownership import KEPT_S, CustomerScope, Ownerships
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.testing import Mesh

Stub: TypeAlias = "customer_pb2_grpc.CustomerServiceAsyncStub"

RM, OTHER_RM, TOKEN = 7, 8, 11


class Toy:
    """Answers the customer it was asked for; whether it may is the chain's affair."""

    async def GetCustomer(self, request: Any, _: object) -> Any:
        customer = customer_pb2.Customer(customer_id=request.customer_id)
        return customer_pb2.GetCustomerResponse(customer=customer)

    def __getattr__(self, name: str) -> Any:
        async def unwritten(_request: Any, _: object) -> Any:
            raise MeshError(MeshReason.UNKNOWN_METHOD)

        return unwritten


def blueprint(*rights: str) -> Blueprint:
    """A service that knows no customer itself, with these rights towards others."""

    def build(parts: Parts) -> Service:
        contract = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
        return Service(
            servicers=[Servicer(descriptor=contract, implementation=Toy())],
            scope_resolver=CustomerScope(Ownerships(parts.channel("customer"), parts.clock)),
        )

    return Blueprint(
        name="toy", build=build, rights=frozenset(rights), migrations=CUSTOMER.migrations
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def centre(mesh: Mesh) -> Stub:
    """The customer centre, as the loader sees it."""
    mesh.trust("loader", {"customer.import"})
    mesh.trust("toy", {"ownership.read"})
    await mesh.start(CUSTOMER)
    stub = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    await give(stub, RM)
    return stub


async def give(centre: Stub, owner_id: int) -> None:
    """Make the customer this manager's."""
    customer = customer_pb2.Customer(
        customer_id=TOKEN, tier=customer_pb2.TIER_AUM5, owner_id=owner_id, branch_id=3
    )
    await centre.ImportCustomers(customer_pb2.ImportCustomersRequest(customers=[customer]))


async def outcome(mesh: Mesh, staff_id: int) -> str:
    """What a manager hears who asks for the customer: "OK" or the reason."""
    token = mesh.token(
        f"user{staff_id}",
        permissions={"customer.read"},
        data_scope=policy_pb2.SCOPE_OWN_BOOK,
        staff_id=staff_id,
        branch_id=3,
    )
    stub = customer_pb2_grpc.CustomerServiceStub(mesh.channel("toy", token=token))
    try:
        await stub.GetCustomer(customer_pb2.GetCustomerRequest(customer_id=TOKEN))
    except grpc.aio.AioRpcError as error:
        return ErrorView.from_rpc(error).reason
    return "OK"


@pytest.mark.usefixtures("centre")
async def test_users_need_no_right_to_owners(mesh: Mesh) -> None:
    """The service asks with its own right; the user's token, which has none, stays behind."""
    await mesh.start(blueprint("ownership.read"))
    assert await outcome(mesh, RM) == "OK"
    assert await outcome(mesh, OTHER_RM) == "OUT_OF_SCOPE"


async def test_transfer_shows_within_two_seconds(
    mesh: Mesh, centre: Stub, clock: ManualClock
) -> None:
    """The new owner reaches the customer, and the old one does not any more."""
    await mesh.start(blueprint("ownership.read"), clock=clock)
    assert await outcome(mesh, RM) == "OK"
    await give(centre, OTHER_RM)
    clock.advance(KEPT_S)
    assert await outcome(mesh, RM) == "OUT_OF_SCOPE"
    assert await outcome(mesh, OTHER_RM) == "OK"


async def test_service_without_the_right_is_told_so(mesh: Mesh) -> None:
    """A service that may not ask for owners reaches nobody."""
    mesh.trust("toy", set())
    await mesh.start(CUSTOMER)
    await mesh.start(blueprint())
    assert await outcome(mesh, RM) == "PERMISSION_DENIED"


async def test_without_the_customer_centre_nobody_is_reached(mesh: Mesh) -> None:
    """Who cannot be placed is not shown; the caller may try again."""
    await mesh.start(blueprint("ownership.read"))
    assert await outcome(mesh, RM) == "UNAVAILABLE"
