"""What an import of customers must keep. Pure rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from centers.customer.domain import WHOLE_BP, Customer
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import ownership_pb2
from mesh.errors import Violation

_TIERS = frozenset(customer_pb2.Tier.values()) - {customer_pb2.TIER_UNSPECIFIED}
_GRADES = frozenset(customer_pb2.RiskGrade.values())
_KINDS = frozenset(ownership_pb2.OwnerKind.values())


def faults(customers: Sequence[Customer]) -> Iterator[Violation]:
    """What keeps the customers from being stored, at its place in the import."""
    first: dict[int, int] = {}
    for index, customer in enumerate(customers):
        place = f"customers[{index}]"
        before = first.setdefault(customer.customer_id, index)
        if before != index:
            yield Violation(f"{place}.customer_id", f"the same token as customers[{before}]")
        yield from _own_faults(place, customer)
        yield from _share_faults(place, customer)


def _own_faults(place: str, customer: Customer) -> Iterator[Violation]:
    if customer.customer_id <= 0:
        yield Violation(f"{place}.customer_id", "must be greater than 0")
    if customer.tier not in _TIERS:
        yield Violation(f"{place}.tier", "must be a tier of the contract")
    if customer.risk_grade not in _GRADES:
        yield Violation(f"{place}.risk_grade", "must be a grade of the contract")
    if customer.owner_kind not in _KINDS:
        yield Violation(f"{place}.owner_kind", "must be a kind of the contract")
    elif bool(customer.owner_kind) != bool(customer.owner_id):
        yield Violation(f"{place}.owner_kind", "goes with an owner, and an owner with it")


def _share_faults(place: str, customer: Customer) -> Iterator[Violation]:
    shares = customer.shares
    if not shares and not customer.owner_id:
        return
    primary = (customer.owner_id, customer.branch_id)
    if not customer.owner_id or (shares[0].staff_id, shares[0].branch_id) != primary:
        yield Violation(f"{place}.shares[0]", "must be the owner's, with his branch")
    if sum(share.share_bp for share in shares) != WHOLE_BP:
        yield Violation(f"{place}.shares", f"must sum to {WHOLE_BP} basis points")
    seen: set[int] = set()
    for index, share in enumerate(shares):
        if share.staff_id <= 0:
            yield Violation(f"{place}.shares[{index}].staff_id", "must be greater than 0")
        elif share.staff_id in seen:
            yield Violation(f"{place}.shares[{index}].staff_id", "has a share already")
        seen.add(share.staff_id)
