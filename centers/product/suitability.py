"""Use cases of suitability: check, screen, shelf, proposal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from centers.product import wire
from centers.product.domain import Check, Offer, Profile, obstacles, shares_hold
from centers.product.errors import ProductReason
from centers.product.products import Ids
from centers.product.store import Receipts
from engine.customer.v1 import customer_pb2
from engine.product.v1 import product_pb2
from mesh.clock import Clock
from mesh.errors import MeshError, Violation
from mesh.storage import Store

Answer = TypeVar("Answer", bound=Message)


class Profiles(Protocol):
    """Where a customer's grade is known."""

    async def profile(self, customer_id: int) -> Profile | None:
        """The customer; None when there is none."""


class Offers(Protocol):
    """Where products are found."""

    async def offer(self, product_id: int) -> Offer:
        """The product as the shelf has it."""


class Catalogue(Protocol):
    """What shelves are made of."""

    async def products(self) -> Sequence[product_pb2.Product]:
        """Everything that was ever approved."""


class Suitability:
    """Decides what may be offered to whom, and keeps a receipt of each decision."""

    def __init__(
        self,
        store: Store,
        receipts: Receipts,
        *,
        offers: Offers,
        catalogue: Catalogue,
        profiles: Profiles,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._store = store
        self._receipts = receipts
        self._offers = offers
        self._catalogue = catalogue
        self._profiles = profiles
        self._ids = ids
        self._clock = clock

    async def check(
        self,
        customer_id: int,
        product_id: int,
        *,
        extra_care_done: bool,
        respond: Callable[[Check], Answer],
    ) -> Answer:
        """Check one product, and keep the receipt with the answer.

        Raises:
            MeshError: CUSTOMERS_UNAVAILABLE, IDS_UNAVAILABLE, or a `DefinitionReason`.
        """
        checks = await self._checked(customer_id, [product_id], extra_care_done=extra_care_done)
        async with self._store.transaction() as tx:
            await self._receipts.keep(tx, checks)
            answer = respond(checks[0])
            tx.answer(answer)
        return answer

    async def shelf(self, customer_id: int) -> Sequence[product_pb2.Product]:
        """What may be offered to the customer."""
        profile, now = await self._profiles.profile(customer_id), self._clock.now()
        return [
            product
            for product in await self._catalogue.products()
            if not obstacles(wire.offer(product), profile, extra_care_done=False, now=now)
        ]

    async def propose(
        self,
        request: product_pb2.CreateProposalRequest,
        actor: str,
        respond: Callable[[product_pb2.Proposal], Answer],
    ) -> Answer:
        """Keep a proposal whose every line suits, with the checks; of any other nothing is kept.

        Raises:
            MeshError: SHARES_INVALID, or UNSUITABLE with the reasons of the lines.
        """
        if not shares_hold(request.lines):
            raise MeshError(ProductReason.SHARES_INVALID)
        checks = await self._checked(
            request.customer_id,
            [line.product_id for line in request.lines],
            extra_care_done=request.extra_care_done,
        )
        _refuse_unsuitable(checks)
        proposal = await self._proposal(request, checks, actor)
        async with self._store.transaction() as tx:
            await self._receipts.keep(tx, checks)
            await self._receipts.propose(tx, proposal)
            answer = respond(proposal)
            tx.answer(answer)
        return answer

    async def _checked(
        self, customer_id: int, product_ids: Sequence[int], *, extra_care_done: bool
    ) -> Sequence[Check]:
        profile = await self._profiles.profile(customer_id)
        offers = [await self._offers.offer(product_id) for product_id in product_ids]
        now = self._clock.now()
        grade = profile.risk_grade if profile else customer_pb2.RISK_GRADE_UNSPECIFIED
        return [
            Check(
                receipt_id=await self._ids.next(),
                customer_id=customer_id,
                offer=offer,
                reasons=obstacles(offer, profile, extra_care_done=extra_care_done, now=now),
                risk_grade=grade,
                time=now,
            )
            for offer in offers
        ]

    async def _proposal(
        self, request: product_pb2.CreateProposalRequest, checks: Sequence[Check], actor: str
    ) -> product_pb2.Proposal:
        proposal = product_pb2.Proposal(
            proposal_id=await self._ids.next(),
            customer_id=request.customer_id,
            receipt_ids=[check.receipt_id for check in checks],
            author=actor,
        )
        for line, check in zip(request.lines, checks, strict=True):
            proposal.lines.add(
                product_id=line.product_id,
                share_bp=line.share_bp,
                product_version=check.offer.version,
            )
        proposal.create_time.FromDatetime(self._clock.now())
        return proposal


def _refuse_unsuitable(checks: Sequence[Check]) -> None:
    violations = [
        Violation(f"lines[{index}].product_id", ", ".join(_names(check)))
        for index, check in enumerate(checks)
        if not check.suitable
    ]
    if violations:
        raise MeshError(ProductReason.UNSUITABLE, violations=violations)


def _names(check: Check) -> Sequence[str]:
    prefix = "SUITABILITY_REASON_"
    return [
        product_pb2.SuitabilityReason.Name(reason).removeprefix(prefix) for reason in check.reasons
    ]
