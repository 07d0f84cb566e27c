"""The benefits centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from centers.benefits.activities import Activities
from centers.benefits.events import subscriptions
from centers.benefits.grant_rows import Grants
from centers.benefits.grants import Giving
from centers.benefits.rpc import BenefitsRpc
from centers.benefits.scope import GrantScope
from centers.benefits.task_rows import Tasks
from engine.benefits.v1 import benefits_pb2
from mesh.contract import Method
from mesh.definitions import Definitions
from mesh.ownership import CustomerScope, Ownerships
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

KIND: Final = "activity"


def build(parts: Parts) -> Service:
    """The benefits centre from its parts."""
    store, clock = parts.store, parts.clock
    ids = ServiceIds(parts)
    definitions = Definitions(
        store, KIND, benefits_pb2.Activity, clock, name_of=lambda body: body.name
    )
    activities = Activities(store, definitions, ids.of("benefits.activity"))
    giving = Giving(store, Tasks(store), ids.of("benefits.grant"), clock)
    customers = CustomerScope(Ownerships(parts.channel("customer"), clock))

    async def author(method: Method, row: Any) -> str | None:  # noqa: ARG001 - all ask for activities
        return await definitions.author(row)

    contract = benefits_pb2.DESCRIPTOR.services_by_name["BenefitsService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=BenefitsRpc(activities, giving))],
        resources=[ids],
        scope_resolver={
            "customer_id": customers,
            "grant_id": GrantScope(Grants(store), customers),
        },
        author_resolver=author,
        subscriptions=subscriptions(),
    )


BLUEPRINT: Final = Blueprint(
    name="benefits",
    build=build,
    after=("identity", "sequencer", "customer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=RIGHTS | {"ownership.read"},
)
