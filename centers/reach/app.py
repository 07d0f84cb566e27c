"""The reach centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.reach.admission_rows import AdmissionStore
from centers.reach.admissions import Admissions
from centers.reach.carrier import Calls, Carriers, Sms, Wecom
from centers.reach.contact_store import ContactStore
from centers.reach.contacts import ContactBook
from centers.reach.dispatch import Dispatcher
from centers.reach.errand_store import ErrandStore
from centers.reach.events import Reactions
from centers.reach.flight_rows import Flights
from centers.reach.gates import Gatekeeper
from centers.reach.learning import LearningClient
from centers.reach.materials import MaterialsClient
from centers.reach.policies import Policies
from centers.reach.preference_rows import PreferenceStore
from centers.reach.preferences import PreferenceBook
from centers.reach.product import ProductClient
from centers.reach.projection_rows import Tasks
from centers.reach.rpc import ReachRpc
from centers.reach.rules import built_in
from engine.reach.v1 import reach_pb2
from mesh.ownership import CustomerScope, Ownerships
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds


def build(parts: Parts) -> Service:
    """The reach centre from its parts."""
    clock, channel, store = parts.clock, parts.channel, parts.store
    ids = ServiceIds(parts)
    wecom = Wecom(channel("wecom"))
    rules = built_in(demo=parts.settings.demo)
    policies = Policies(store, ids.of("reach.policy_version"), clock, rules)
    dispatcher = Dispatcher(
        store=ErrandStore(store),
        carriers=Carriers(sms=Sms(channel("sms")), calls=Calls(channel("calls")), wecom=wecom),
        wecom=wecom,
        rules=policies.in_force,
        clock=clock,
        meters=parts.telemetry.meters,
    )
    admissions = Admissions(
        store=AdmissionStore(store),
        tasks=Tasks(store),
        gate=Gatekeeper(
            MaterialsClient(channel("materials")),
            ProductClient(channel("product")),
            LearningClient(channel("learning")),
        ),
        receipts=ids.of("reach.receipt"),
        rules=policies.in_force,
        clock=clock,
        wake=dispatcher.wake,
    )
    rpc = ReachRpc(
        admissions=admissions,
        contacts=ContactBook(
            ContactStore(store), wecom, Flights(store, clock), clock, dispatcher.wake
        ),
        preferences=PreferenceBook(PreferenceStore(store), clock, dispatcher.wake),
        policies=policies,
        ids=ids.of("reach.contact"),
    )
    contract = reach_pb2.DESCRIPTOR.services_by_name["ReachService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=rpc)],
        resources=[ids, dispatcher],
        scope_resolver=CustomerScope(Ownerships(channel("customer"), clock)),
        author_resolver=policies.author,
        subscriptions=Reactions(clock).subscriptions(),
    )


BLUEPRINT: Final = Blueprint(
    name="reach",
    build=build,
    after=("identity", "sequencer", "customer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=frozenset(
        {
            "ownership.read",
            "product.screen",
            "materials.screen",
            "learning.screen",
            "simulator.use",
            "wecom.send",
            *RIGHTS,
        }
    ),
)
