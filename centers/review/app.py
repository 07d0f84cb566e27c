"""The review centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.review.behavior_rows import BehaviorRows
from centers.review.events import subscriptions
from centers.review.rpc import ReviewRpc
from centers.review.service import Behaviors, Review
from centers.review.tally_rows import Tallies
from engine.review.v1 import review_pb2
from mesh.service import Blueprint, Parts, Service, Servicer


def build(parts: Parts) -> Service:
    """The review centre from its parts."""
    log = BehaviorRows(parts.store)
    rpc = ReviewRpc(Behaviors(log), Review(Tallies(parts.store)))
    contract = review_pb2.DESCRIPTOR.services_by_name["ReviewService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=rpc)],
        subscriptions=subscriptions(log),
    )


BLUEPRINT: Final = Blueprint(
    name="review",
    build=build,
    after=("identity",),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",  # what is in the log may not be lost
)
