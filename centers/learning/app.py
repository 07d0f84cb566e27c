"""The learning centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.learning.rpc import LearningRpc
from centers.learning.scope import StaffScope
from centers.learning.service import Learning
from centers.learning.store import QualificationStore
from engine.learning.v1 import learning_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

SEQUENCE: Final = "learning.qualification"


def build(parts: Parts) -> Service:
    """The learning centre from its parts."""
    ids = ServiceIds(parts)
    learning = Learning(QualificationStore(parts.store), ids.of(SEQUENCE), parts.clock)
    contract = learning_pb2.DESCRIPTOR.services_by_name["LearningService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=LearningRpc(learning))],
        resources=[ids],
        scope_resolver={"staff_id": StaffScope()},
    )


BLUEPRINT: Final = Blueprint(
    name="learning",
    build=build,
    after=("identity", "sequencer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=RIGHTS,
)
