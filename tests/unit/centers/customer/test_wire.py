"""Messages become domain objects and back, or are refused with the place of the fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from centers.customer import wire
from centers.customer.domain import (
    ORDERS,
    Customer,
    FollowUp,
    MaskedValues,
    Portrait,
    undivided,
)
from centers.customer.errors import CustomerReason
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import ownership_pb2
from mesh.errors import MeshError
from mesh.ownership import Share

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
NEVER = Timestamp(seconds=10**15)
CUSTOMER = Customer(
    customer_id=11,
    tier=3,
    risk_grade=2,
    risk_grade_expiry=NINE,
    owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    owner_id=7,
    branch_id=3,
    has_wecom=True,
    senior=True,
    shares=undivided(7, 3),
)
FOLLOW_UP = FollowUp(
    follow_up_id=5,
    customer_id=11,
    summary="spoke about deposits",
    next_step="send the brochure",
    next_time=NINE,
    author="rm007",
    create_time=NINE,
    update_time=NINE,
)


def stamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def update(*paths: str, **fields: object) -> customer_pb2.UpdateFollowUpRequest:
    request = customer_pb2.UpdateFollowUpRequest(
        customer_id=11,
        follow_up=customer_pb2.FollowUp(**fields),  # type: ignore[arg-type]
    )
    if paths:
        request.update_mask.CopyFrom(FieldMask(paths=paths))
    return request


def test_customer_survives_the_wire() -> None:
    """A customer that is sent and imported again is the same, with all who share him."""
    helped = Share(staff_id=8, share_bp=3_000, branch_id=4)
    owned = Share(staff_id=7, share_bp=7_000, branch_id=3)
    both = [CUSTOMER, replace(CUSTOMER, shares=(owned, helped))]
    request = customer_pb2.ImportCustomersRequest(customers=map(wire.customer, both))
    assert wire.imported(request) == both


def test_what_an_import_leaves_unsaid_of_the_owner_is_presumed() -> None:
    """The owner has the whole customer, and is of the kind that his branch says."""
    customers = [
        customer_pb2.Customer(owner_id=7, branch_id=3),
        customer_pb2.Customer(owner_id=7, owner_kind=ownership_pb2.OWNER_KIND_ROBOT),
        customer_pb2.Customer(),
    ]
    managed, robot, unowned = wire.imported(
        customer_pb2.ImportCustomersRequest(customers=customers)
    )
    assert managed.owner_kind == ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
    assert managed.shares == (Share(staff_id=7, share_bp=10_000, branch_id=3),)
    assert robot.owner_kind == ownership_pb2.OWNER_KIND_ROBOT
    assert (unowned.owner_kind, unowned.shares) == (ownership_pb2.OWNER_KIND_UNSPECIFIED, ())


def test_customer_without_grade_has_no_expiry() -> None:
    """A time that is not there stays away, and does not become 1970."""
    (bare,) = wire.imported(
        customer_pb2.ImportCustomersRequest(customers=[customer_pb2.Customer(customer_id=12)])
    )
    assert bare.risk_grade_expiry is None
    assert not wire.customer(bare).HasField("risk_grade_expire_time")


def test_import_names_a_time_that_does_not_exist() -> None:
    """A time beyond the calendar is refused at its place."""
    customers = [customer_pb2.Customer(), customer_pb2.Customer(risk_grade_expire_time=NEVER)]
    with pytest.raises(MeshError) as refused:
        wire.imported(customer_pb2.ImportCustomersRequest(customers=customers))
    assert refused.value.reason is CustomerReason.TIME_INVALID
    assert refused.value.violations[0].field == "customers[1].risk_grade_expire_time"


def test_follow_up_names_a_time_that_does_not_exist() -> None:
    """A next step beyond the calendar is refused."""
    with pytest.raises(MeshError) as refused:
        wire.draft(customer_pb2.FollowUp(summary="call", next_time=NEVER))
    assert refused.value.violations[0].field == "follow_up.next_time"


def test_follow_up_shows_all_it_has() -> None:
    """Every field of a follow-up reaches the caller."""
    message = wire.follow_up(FOLLOW_UP)
    assert {field.name for field, _ in message.ListFields()} == set(
        customer_pb2.FollowUp.DESCRIPTOR.fields_by_name
    )
    assert message.etag == FOLLOW_UP.etag


def test_portrait_without_masks_leaves_them_out() -> None:
    """What the Ark did not answer is absent, not empty text with a date."""
    message = wire.portrait(Portrait(customer=CUSTOMER, shown=None, recent=[FOLLOW_UP]))
    assert {field.name for field, _ in message.ListFields()} == {"customer", "recent_follow_ups"}


def test_portrait_shows_all_it_has() -> None:
    """Every field of a portrait reaches the caller."""
    shown = MaskedValues(name="王**", phone="p", id_card="i", aum_band="<50k", as_of=NINE)
    message = wire.portrait(Portrait(customer=CUSTOMER, shown=shown, recent=[FOLLOW_UP]))
    assert {field.name for field, _ in message.ListFields()} == set(
        customer_pb2.Portrait.DESCRIPTOR.fields_by_name
    )
    assert message.as_of == stamp(NINE)


def test_mask_names_the_fields_to_change() -> None:
    """Fields outside the mask are not read, and one without value is cleared."""
    change = wire.change(update("summary", "next_time", summary="new", next_step="ignored"))
    assert change.fields == {"summary", "next_time"}
    assert (change.draft.summary, change.draft.next_time) == ("new", None)


def test_without_mask_the_set_fields_change() -> None:
    """Without a mask only fields with a value are changed."""
    request = update(follow_up_id=5, summary="new", next_time=stamp(NINE), author="me", etag="x")
    assert wire.change(request).fields == {"summary", "next_time"}


@pytest.mark.parametrize("path", ["author", "create_time", "follow_up_id", "etag", "*", "nonsense"])
def test_mask_with_other_fields_is_refused(path: str) -> None:
    """What cannot be changed may not be named, and unknown names are not repeated."""
    with pytest.raises(MeshError) as refused:
        wire.change(update("summary", path, summary="new"))
    assert refused.value.reason is CustomerReason.UPDATE_INVALID
    (violation,) = refused.value.violations
    assert violation.field == "update_mask"
    assert "nonsense" not in violation.description


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "customer_id"),
        ("  ", "customer_id"),
        ("customer_id", "customer_id"),
        ("tier", "tier"),
        (" tier  desc ", "tier desc"),
    ],
)
def test_order_is_read(text: str, name: str) -> None:
    """The orders of the contract are known however they are spaced."""
    assert wire.order(text) is ORDERS[name]


@pytest.mark.parametrize("text", ["owner_id", "tier asc", "tier,customer_id", "TIER", "desc"])
def test_other_orders_are_refused(text: str) -> None:
    """An order that is not offered is refused with those that are."""
    with pytest.raises(MeshError) as refused:
        wire.order(text)
    assert refused.value.reason is CustomerReason.ORDER_INVALID
    assert "tier desc" in refused.value.violations[0].description


def test_filter_that_cannot_be_read_names_its_position() -> None:
    """Programs find the position in the metadata, people in the violation."""
    with pytest.raises(MeshError) as refused:
        wire.conditions("tier = TIER_AUM5 OR tier = TIER_AUM0")
    assert refused.value.reason is CustomerReason.FILTER_INVALID
    assert refused.value.metadata == {"position": "18"}
    assert refused.value.violations[0].field == "filter"


def test_page_of_another_filter_order_or_customer_is_another_list() -> None:
    """Page tokens are bound to what makes the list; spaces around do not matter."""
    requests = [
        customer_pb2.ListCustomersRequest(filter="has_wecom = true"),
        customer_pb2.ListCustomersRequest(filter="has_wecom = false"),
        customer_pb2.ListCustomersRequest(filter="has_wecom = true", order_by="tier"),
    ]
    listings = {wire.customers_page(request).listing for request in requests}
    listings |= {
        wire.follow_ups_page(customer_pb2.ListFollowUpsRequest(customer_id=number)).listing
        for number in (11, 12)
    }
    assert len(listings) == 5
    spaced = customer_pb2.ListCustomersRequest(filter=" has_wecom = true ", order_by=" tier ")
    assert wire.customers_page(spaced).listing in listings
