"""The customer centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.customer.ark import ArkClient
from centers.customer.follow_up_rows import FollowUpStore
from centers.customer.follow_ups import FollowUps
from centers.customer.rpc import CustomerRpc, OwnershipRpc
from centers.customer.service import Customers
from centers.customer.store import CustomerStore
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import ownership_pb2
from mesh.ownership import CustomerScope
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

SEQUENCE: Final = "customer.follow_up"


def build(parts: Parts) -> Service:
    """The customer centre from its parts."""
    ids = ServiceIds(parts)
    follow_up_store = FollowUpStore(parts.store)
    customer_store = CustomerStore(parts.store)
    customers = Customers(customer_store, follow_up_store, ArkClient(parts.channel("ark")))
    follow_ups = FollowUps(follow_up_store, ids.of(SEQUENCE), parts.clock)
    contract = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
    owners = ownership_pb2.DESCRIPTOR.services_by_name["OwnershipService"]
    return Service(
        servicers=[
            Servicer(descriptor=contract, implementation=CustomerRpc(customers, follow_ups)),
            Servicer(descriptor=owners, implementation=OwnershipRpc(customers)),
        ],
        resources=[ids],
        scope_resolver=CustomerScope(customer_store),
    )


BLUEPRINT: Final = Blueprint(
    name="customer",
    build=build,
    after=("identity", "sequencer", "ark"),
    migrations=Path(__file__).parent / "migrations",
    rights=RIGHTS | {"ark.query"},
)
