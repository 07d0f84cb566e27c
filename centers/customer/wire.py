"""Messages of the customer contract as domain objects, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import Message

from centers.customer.domain import (
    ORDERS,
    Change,
    Customer,
    Draft,
    FollowUp,
    Order,
    Portrait,
    presumed_kind,
    undivided,
)
from centers.customer.errors import CustomerReason
from centers.customer.filter import Condition, FilterError, parse
from engine.customer.v1 import customer_pb2
from mesh.errors import MeshError, Violation
from mesh.ownership import owner_share, share
from mesh.paging import PageRequest

CHANGEABLE: Final = ("summary", "next_step", "next_time")
DEFAULT_ORDER: Final = "customer_id"


def conditions(text: str) -> Sequence[Condition]:
    """The conditions of a filter; FILTER_INVALID when it cannot be read."""
    try:
        return parse(text)
    except FilterError as error:
        raise MeshError(
            CustomerReason.FILTER_INVALID,
            f"The filter cannot be read {error}",
            metadata={"position": str(error.position)},
            violations=[Violation("filter", str(error))],
        ) from None


def order(text: str) -> Order:
    """The order that the caller wants; ORDER_INVALID when there is no such order."""
    found = ORDERS.get(" ".join(text.split()) or DEFAULT_ORDER)
    if found is None:
        allowed = "must be one of: " + ", ".join(ORDERS)
        raise MeshError(CustomerReason.ORDER_INVALID, violations=[Violation("order_by", allowed)])
    return found


def customers_page(request: customer_pb2.ListCustomersRequest) -> PageRequest:
    """The page asked for; its token holds for the same filter and order alone."""
    listing = f"customers\n{request.filter.strip()}\n{' '.join(request.order_by.split())}"
    return PageRequest(listing=listing, size=request.page_size, token=request.page_token)


def follow_ups_page(request: customer_pb2.ListFollowUpsRequest) -> PageRequest:
    """The page asked for; its token holds for the same customer alone."""
    listing = f"follow-ups\n{request.customer_id}"
    return PageRequest(listing=listing, size=request.page_size, token=request.page_token)


def customer(found: Customer) -> customer_pb2.Customer:
    """A customer as the contract shows it."""
    message = customer_pb2.Customer(
        customer_id=found.customer_id,
        tier=customer_pb2.Tier.ValueType(found.tier),
        risk_grade=customer_pb2.RiskGrade.ValueType(found.risk_grade),
        owner_id=found.owner_id,
        branch_id=found.branch_id,
        has_wecom=found.has_wecom,
        owner_kind=found.owner_kind,
        senior=found.senior,
        shares=map(owner_share, found.shares),
    )
    if found.risk_grade_expiry is not None:
        message.risk_grade_expire_time.FromDatetime(found.risk_grade_expiry)
    return message


def imported(request: customer_pb2.ImportCustomersRequest) -> Sequence[Customer]:
    """The customers of an import; TIME_INVALID when a time does not exist."""
    return [
        _imported(message, f"customers[{index}]") for index, message in enumerate(request.customers)
    ]


def portrait(found: Portrait) -> customer_pb2.Portrait:
    """A portrait as the contract shows it."""
    message = customer_pb2.Portrait(
        customer=customer(found.customer), recent_follow_ups=map(follow_up, found.recent)
    )
    if found.shown is not None:
        message.name = found.shown.name
        message.phone = found.shown.phone
        message.id_card = found.shown.id_card
        message.aum_band = found.shown.aum_band
        message.as_of.FromDatetime(found.shown.as_of)
    return message


def follow_up(found: FollowUp) -> customer_pb2.FollowUp:
    """A follow-up as the contract shows it."""
    message = customer_pb2.FollowUp(
        follow_up_id=found.follow_up_id,
        customer_id=found.customer_id,
        summary=found.summary,
        next_step=found.next_step,
        author=found.author,
        etag=found.etag,
    )
    message.create_time.FromDatetime(found.create_time)
    message.update_time.FromDatetime(found.update_time)
    if found.next_time is not None:
        message.next_time.FromDatetime(found.next_time)
    return message


def draft(message: customer_pb2.FollowUp) -> Draft:
    """What the author says; TIME_INVALID when a time does not exist."""
    return Draft(
        summary=message.summary,
        next_step=message.next_step,
        next_time=_time(message, "next_time", "follow_up"),
    )


def change(request: customer_pb2.UpdateFollowUpRequest) -> Change:
    """The fields to change and their values; UPDATE_INVALID for fields that stay as they are."""
    paths = list(request.update_mask.paths) or _set_fields(request.follow_up)
    violations = [
        Violation("update_mask", f"'{path}' cannot be changed")
        if path in customer_pb2.FollowUp.DESCRIPTOR.fields_by_name
        else Violation("update_mask", f"path {index + 1} is not a field of a follow-up")
        for index, path in enumerate(paths)
        if path not in CHANGEABLE
    ]
    if violations:
        raise MeshError(CustomerReason.UPDATE_INVALID, violations=violations)
    return Change(fields=frozenset(paths), draft=draft(request.follow_up))


def _imported(message: customer_pb2.Customer, place: str) -> Customer:
    """The customer; what the message leaves unsaid of his owner is presumed."""
    owner_id, branch_id = message.owner_id, message.branch_id
    return Customer(
        customer_id=message.customer_id,
        tier=message.tier,
        risk_grade=message.risk_grade,
        risk_grade_expiry=_time(message, "risk_grade_expire_time", place),
        owner_kind=message.owner_kind or presumed_kind(owner_id, branch_id),
        owner_id=owner_id,
        branch_id=branch_id,
        has_wecom=message.has_wecom,
        senior=message.senior,
        shares=tuple(map(share, message.shares)) or undivided(owner_id, branch_id),
    )


def _set_fields(message: customer_pb2.FollowUp) -> Sequence[str]:
    present = {field.name for field, _ in message.ListFields()}
    return [name for name in CHANGEABLE if name in present]


def _time(message: Message, field: str, place: str) -> datetime | None:
    """The time in a field of the message that stands at `place`; None when it is not set."""
    if not message.HasField(field):
        return None
    try:
        time: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError):
        violation = Violation(f"{place}.{field}", "must lie between the years 1 and 9999")
        raise MeshError(CustomerReason.TIME_INVALID, violations=[violation]) from None
    return time
