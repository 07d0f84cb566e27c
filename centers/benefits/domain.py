"""Activities' terms, stock and grants. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from centers.benefits.errors import BenefitsReason
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.errors import MeshError

MAX_WAITING: Final = 50_000
"""Claims that may wait for one activity."""


class State(IntEnum):
    """Where a grant stands; the numbers are the contract's and the database's."""

    WAIT_LISTED = benefits_pb2.GRANT_STATE_WAIT_LISTED
    GRANTED = benefits_pb2.GRANT_STATE_GRANTED
    REDEEMED = benefits_pb2.GRANT_STATE_REDEEMED
    REVOKED = benefits_pb2.GRANT_STATE_REVOKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Who may claim, and when. `start` and `end` are None for at once and for no end."""

    limit_per_customer: int
    start: datetime | None
    end: datetime | None

    def refuse_outside(self, now: datetime) -> None:
        """Refuse claims before `start`, and from `end` on.

        Raises:
            MeshError: CLAIMS_NOT_BEGUN or CLAIMS_OVER.
        """
        if self.start is not None and now < self.start:
            raise MeshError(BenefitsReason.CLAIMS_NOT_BEGUN)
        if self.end is not None and now >= self.end:
            raise MeshError(BenefitsReason.CLAIMS_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How much there is of an activity: issued = available + granted + redeemed."""

    issued: int = 0
    available: int = 0
    granted: int = 0
    redeemed: int = 0
    wait_listed: int = 0


NO_STOCK: Final = Stock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is asked for. `chain` is what is known of it, without a grant."""

    activity_id: int
    customer_id: int
    reason_key: str
    chain: ChainIds
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A benefit given to a customer, or waiting for him."""

    grant_id: int
    claim: Claim
    state: State
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What a claim finds: the terms in force and the customer's grants of this activity.

    `in_stock` says which way the claim will probably go; the guards of the stock decide.
    """

    terms: Terms
    in_stock: bool
    grants: Sequence[Grant]

    def same(self, reason_key: str) -> Grant | None:
        """The grant that this reason has brought before."""
        return next((one for one in self.grants if one.claim.reason_key == reason_key), None)

    def refuse(self, now: datetime) -> None:
        """Refuse what the terms do not allow.

        Raises:
            MeshError: CLAIMS_NOT_BEGUN, CLAIMS_OVER or LIMIT_REACHED.
        """
        self.terms.refuse_outside(now)
        standing = sum(one.state is not State.REVOKED for one in self.grants)
        if standing >= self.terms.limit_per_customer:
            raise MeshError(BenefitsReason.LIMIT_REACHED)
