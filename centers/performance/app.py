"""The performance centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.performance.credit_rows import Credits
from centers.performance.customer import CustomerOwners
from centers.performance.events import Reactions
from centers.performance.late import LateCauses
from centers.performance.recording import Recording
from centers.performance.rpc import PerformanceRpc
from centers.performance.scope import CreditScope
from centers.performance.total_rows import Sums
from engine.performance.v1 import performance_pb2
from mesh.ownership import Ownerships
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds


def build(parts: Parts) -> Service:
    """The performance centre from its parts."""
    store, clock = parts.store, parts.clock
    ids = ServiceIds(parts)
    credit_ids = ids.of("performance.credit")
    owners = CustomerOwners(Ownerships(parts.channel("customer"), clock))
    recording = Recording(
        store,
        owners,
        result_ids=ids.of("performance.result"),
        credit_ids=credit_ids,
        clock=clock,
    )
    ledger = Credits(store)
    contract = performance_pb2.DESCRIPTOR.services_by_name["PerformanceService"]
    rpc = PerformanceRpc(recording, Sums(store), ledger)
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=rpc)],
        resources=[ids],
        scope_resolver={"credit_id": CreditScope(ledger)},
        subscriptions=Reactions(LateCauses(store, owners, credit_ids, clock)).subscriptions(),
    )


BLUEPRINT: Final = Blueprint(
    name="performance",
    build=build,
    after=("identity", "sequencer", "customer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=RIGHTS | {"ownership.read"},
)
