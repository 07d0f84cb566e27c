"""Activities and grants as the contract shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from centers.benefits.domain import Grant, Stock, Terms
from centers.benefits.errors import BenefitsReason
from engine.benefits.v1 import benefits_pb2
from mesh.clock import to_micros
from mesh.definitions import Version, to_message
from mesh.errors import MeshError, Violation

READ_ONLY = ("definition", "stock")
"""Fields of an activity that its author does not write."""


def body(activity: benefits_pb2.Activity) -> benefits_pb2.Activity:
    """What the author says of an activity, without what the centre says."""
    written = benefits_pb2.Activity()
    written.CopyFrom(activity)
    for field in READ_ONLY:
        written.ClearField(field)  # type: ignore[arg-type]
    return written


def terms(activity: benefits_pb2.Activity) -> Terms:
    """Who may claim, and when.

    Raises:
        MeshError: WINDOW_INVALID, when a time does not exist.
    """
    start, end = _moment(activity, "start_time"), _moment(activity, "end_time")
    return Terms(limit_per_customer=activity.limit_per_customer or 1, start=start, end=end)


def _moment(
    activity: benefits_pb2.Activity, field: Literal["start_time", "end_time"]
) -> datetime | None:
    if not activity.HasField(field):
        return None
    stated: Timestamp = getattr(activity, field)
    try:
        return stated.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError) as error:
        violation = Violation(f"activity.{field}", "must lie between the years 1 and 9999")
        raise MeshError(BenefitsReason.WINDOW_INVALID, violations=[violation]) from error


def activity(version: Version[benefits_pb2.Activity], counted: Stock) -> benefits_pb2.Activity:
    """A version of an activity with the stock of all of them."""
    message = benefits_pb2.Activity()
    message.CopyFrom(version.body)
    message.definition.CopyFrom(to_message(version))
    message.stock.CopyFrom(stock(counted))
    return message


def stock(counted: Stock) -> benefits_pb2.Stock:
    """How much there is."""
    return benefits_pb2.Stock(
        issued=counted.issued,
        available=counted.available,
        granted=counted.granted,
        redeemed=counted.redeemed,
        wait_listed=counted.wait_listed,
    )


def grant(made: Grant) -> benefits_pb2.Grant:
    """A grant; it is the last link of its chain."""
    claim = made.claim
    message = benefits_pb2.Grant(
        grant_id=made.grant_id,
        activity_id=claim.activity_id,
        customer_id=claim.customer_id,
        reason_key=claim.reason_key,
        state=benefits_pb2.GrantState.ValueType(made.state),
        chain=claim.chain,
        actor=claim.actor,
    )
    message.chain.grant_id = made.grant_id
    message.create_time.FromMicroseconds(to_micros(made.create_time))
    message.update_time.FromMicroseconds(to_micros(made.update_time))
    return message
