"""The customer centre's use cases over its real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from centers.customer.domain import Customer, FollowUp, MaskedValues, undivided
from centers.customer.errors import CustomerReason
from centers.customer.follow_up_rows import FollowUpStore
from centers.customer.service import Customers
from centers.customer.store import CustomerStore
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import ownership_pb2
from mesh.errors import MeshError, MeshReason
from mesh.ownership import Share
from mesh.storage import Store

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
SHOWN = MaskedValues(
    name="王**",
    phone="138****1234",
    id_card="330***********123X",
    aum_band="50k-200k",
    as_of=NINE,
)
CUSTOMER = Customer(
    customer_id=11,
    tier=3,
    risk_grade=2,
    risk_grade_expiry=None,
    owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    owner_id=7,
    branch_id=3,
    has_wecom=True,
    senior=False,
    shares=undivided(7, 3),
)


class OneCustomerArk:
    """An Ark that knows customer 11 alone."""

    async def masked(self, customer_id: int) -> MaskedValues | None:
        return SHOWN if customer_id == 11 else None


def follow_up(number: int) -> FollowUp:
    time = NINE + timedelta(hours=number)
    return FollowUp(
        follow_up_id=number,
        customer_id=11,
        summary=f"call {number}",
        next_step="",
        next_time=None,
        author="rm007",
        create_time=time,
        update_time=time,
    )


def respond(made: FollowUp) -> customer_pb2.GetFollowUpResponse:
    message = customer_pb2.FollowUp(follow_up_id=made.follow_up_id)
    return customer_pb2.GetFollowUpResponse(follow_up=message)


@pytest.fixture
def customers(store: Store) -> Customers:
    return Customers(CustomerStore(store), FollowUpStore(store), OneCustomerArk())


async def test_portrait_joins_row_masks_and_newest_follow_ups(
    customers: Customers, store: Store
) -> None:
    """A portrait has the row, the Ark's masks, and five follow-ups, newest first."""
    await customers.take_in([CUSTOMER])
    for number in range(1, 8):
        await FollowUpStore(store).add(follow_up(number), respond)
    portrait = await customers.portrait(11)
    assert portrait.customer == CUSTOMER
    assert portrait.shown == SHOWN
    assert [one.follow_up_id for one in portrait.recent] == [7, 6, 5, 4, 3]


async def test_portrait_without_masks_shows_the_rest(customers: Customers) -> None:
    """A customer whom the Ark does not know yet still has a portrait."""
    await customers.take_in([replace(CUSTOMER, customer_id=12)])
    portrait = await customers.portrait(12)
    assert portrait.shown is None
    assert portrait.customer.customer_id == 12


async def test_unknown_customer_looks_like_one_out_of_scope(customers: Customers) -> None:
    """A token that stands for nobody answers what a row of others answers."""
    with pytest.raises(MeshError) as refused:
        await customers.portrait(99)
    assert refused.value.reason is MeshReason.OUT_OF_SCOPE


async def test_many_are_answered_in_the_order_asked(customers: Customers) -> None:
    """Each customer once however often he is asked for; those unknown are left out."""
    three = [replace(CUSTOMER, customer_id=number) for number in (11, 12, 13)]
    await customers.take_in(three)
    asked = [13, 99, 11, 13]
    assert await customers.customers(asked) == [three[2], three[0]]
    assert await customers.owners(asked) == [three[2].owner, three[0].owner]


def shared(*parts: tuple[int, int, int]) -> Customer:
    """A customer looked after by these: staff number, basis points, branch."""
    shares = tuple(Share(staff_id=s, share_bp=bp, branch_id=b) for s, bp, b in parts)
    return replace(CUSTOMER, shares=shares)


UNOWNED = replace(
    CUSTOMER,
    owner_kind=ownership_pb2.OWNER_KIND_UNSPECIFIED,
    owner_id=0,
    branch_id=0,
    shares=(),
)


@pytest.mark.parametrize(
    ("customer", "field"),
    [
        (replace(CUSTOMER, customer_id=0), "customers[1].customer_id"),
        (replace(CUSTOMER, customer_id=-4), "customers[1].customer_id"),
        (replace(CUSTOMER, customer_id=12), "customers[1].customer_id"),
        (replace(CUSTOMER, tier=0), "customers[1].tier"),
        (replace(CUSTOMER, tier=8), "customers[1].tier"),
        (replace(CUSTOMER, risk_grade=6), "customers[1].risk_grade"),
        (
            replace(CUSTOMER, owner_kind=ownership_pb2.OwnerKind.ValueType(4)),
            "customers[1].owner_kind",
        ),
        (replace(CUSTOMER, owner_kind=UNOWNED.owner_kind), "customers[1].owner_kind"),
        (replace(UNOWNED, owner_kind=CUSTOMER.owner_kind), "customers[1].owner_kind"),
        (shared((7, 9_999, 3)), "customers[1].shares"),
        (shared((7, 7_000, 3), (8, 3_001, 3)), "customers[1].shares"),
        (shared((8, 3_000, 3), (7, 7_000, 3)), "customers[1].shares[0]"),
        (shared((7, 10_000, 4)), "customers[1].shares[0]"),
        (shared((7, 5_000, 3), (8, 2_000, 3), (8, 3_000, 4)), "customers[1].shares[2].staff_id"),
        (shared((7, 5_000, 3), (7, 5_000, 3)), "customers[1].shares[1].staff_id"),
        (shared((7, 5_000, 3), (0, 5_000, 3)), "customers[1].shares[1].staff_id"),
        (replace(UNOWNED, shares=CUSTOMER.shares), "customers[1].shares[0]"),
    ],
)
async def test_import_names_what_cannot_be_stored(
    customers: Customers, customer: Customer, field: str
) -> None:
    """One wrong entry refuses the import, is named by its place, and nothing is stored."""
    with pytest.raises(MeshError) as refused:
        await customers.take_in([replace(CUSTOMER, customer_id=12), customer])
    assert refused.value.reason is CustomerReason.IMPORT_INVALID
    assert [violation.field for violation in refused.value.violations] == [field]
    assert (await customers.statistics()).customers == 0


async def test_import_takes_customers_never_assessed(customers: Customers) -> None:
    """A customer without a risk grade is as good as any other."""
    assert await customers.take_in([replace(CUSTOMER, risk_grade=0)]) == 1


@pytest.mark.parametrize(
    "customer", [UNOWNED, shared((7, 7_000, 3), (8, 3_000, 4)), shared((7, 10_000, 3), (8, 0, 0))]
)
async def test_import_takes_customers_of_nobody_and_of_several(
    customers: Customers, customer: Customer
) -> None:
    """Nobody may own a customer, and several may share him, even for nothing."""
    await customers.take_in([customer])
    assert await customers.customer(11) == customer
