"""The decision centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.decision.answers import Answers
from centers.decision.backtests import Backtests
from centers.decision.ingest import Ingest
from centers.decision.models import KIND, Models
from centers.decision.reserve import Ids, Reserve
from centers.decision.rpc import DecisionRpc
from centers.decision.store import DecisionStore
from centers.decision.timer import WaitTimer
from engine.decision.v1 import decision_pb2
from mesh.clock import Clock
from mesh.definitions import Definitions
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.storage import Store
from sequencer.sdk.service import RIGHTS, ServiceIds


class Decision:
    """The use cases of the centre over one store; `timer` must be entered for waits to end.

    Args:
        store: the centre's database.
        ids: ids of models, versions and backtests.
        trigger_ids: ids of triggers.
        clock: dates everything.
    """

    def __init__(self, store: Store, ids: Ids, trigger_ids: Ids, clock: Clock) -> None:
        self.store = DecisionStore(store)
        definitions = Definitions(
            store, KIND, decision_pb2.Model, clock, name_of=lambda model: model.name
        )
        reserve = Reserve(trigger_ids)
        self.timer = WaitTimer(self.store, reserve, clock)
        self.ingest = Ingest(self.store, reserve, clock, self.timer.wake)
        self.models = Models(self.store, definitions, ids, clock)
        self.backtests = Backtests(self.store, definitions, ids, clock)
        self.answers = Answers(self.store, definitions)


def build(parts: Parts) -> Service:
    """The decision centre from its parts."""
    ids = ServiceIds(parts)
    centre = Decision(
        parts.store, ids.of("decision.model"), ids.of("decision.trigger"), parts.clock
    )
    rpc = DecisionRpc(centre.ingest, centre.models, centre.backtests, centre.answers)
    contract = decision_pb2.DESCRIPTOR.services_by_name["DecisionService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=rpc)],
        resources=[ids, centre.timer],
        author_resolver=centre.models.author,
    )


BLUEPRINT: Final = Blueprint(
    name="decision",
    build=build,
    after=("identity", "sequencer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",  # a bank's system hands an event in once
    rights=RIGHTS,
)
