"""Results and credits as the contract shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from centers.performance.domain import Chain, Credit, Fact, Metric, Result, Reversal
from centers.performance.errors import PerformanceReason
from engine.mesh.v1.context_pb2 import ChainIds
from engine.performance.v1 import performance_pb2
from mesh.clock import to_micros
from mesh.errors import MeshError, Violation


def fact(message: performance_pb2.Result) -> Fact:
    """A result as it was handed in.

    Raises:
        MeshError: DATE_INVALID, when it occurred at a time that does not exist.
    """
    try:
        occurred_time = message.occurred_time.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError) as error:
        violation = Violation("results.occurred_time", "must lie between the years 1 and 9999")
        raise MeshError(PerformanceReason.DATE_INVALID, violations=[violation]) from error
    return Fact(
        metric=Metric(message.metric),
        business_key=message.business_key,
        customer_id=message.customer_id,
        amount_fen=message.amount_fen,
        money_class=message.money_class,
        occurred_time=occurred_time,
        business_date=message.business_date,
    )


def reversal(message: performance_pb2.ResultReversal) -> Reversal:
    """A reversal as it was handed in."""
    return Reversal(
        metric=Metric(message.metric),
        business_key=message.business_key,
        business_date=message.business_date,
        reason=message.reason,
    )


def chain(known: Chain, credit_id: int = 0) -> ChainIds:
    """A chain, with an entry as its last link."""
    return ChainIds(
        scene_version=known.scene_version,
        trigger_id=known.trigger_id,
        opportunity_id=known.opportunity_id,
        task_id=known.task_id,
        contact_id=known.contact_id,
        credit_id=credit_id,
    )


def result(found: Result) -> performance_pb2.Result:
    """A result as the bank's system handed it in."""
    told = found.fact
    message = performance_pb2.Result(
        metric=performance_pb2.Metric.ValueType(told.metric),
        business_key=told.business_key,
        customer_id=told.customer_id,
        amount_fen=told.amount_fen,
        money_class=told.money_class,
        business_date=told.business_date,
    )
    message.occurred_time.FromMicroseconds(to_micros(told.occurred_time))
    return message


def credit(found: Credit) -> performance_pb2.Credit:
    """An entry; it is the last link of its chain."""
    reverse = found.is_reverse
    message = performance_pb2.Credit(
        credit_id=found.credit_id,
        metric=performance_pb2.Metric.ValueType(found.metric),
        customer_id=found.customer_id,
        owner_id=found.owner_id,
        branch_id=found.branch_id,
        amount_fen=found.amount_fen,
        share_bp=found.share_bp,
        chain=chain(found.chain, found.credit_id),
        rule_version=found.rule_version,
        entry_type=performance_pb2.ENTRY_TYPE_REVERSE
        if reverse
        else performance_pb2.ENTRY_TYPE_ORIGIN,
        business_date=found.business_date,
        business_key=found.business_key,
        reversed_credit_id=found.reversed_credit_id,
    )
    message.create_time.FromMicroseconds(to_micros(found.create_time))
    return message


def recorded(found: Result, made: Sequence[Credit]) -> performance_pb2.ResultRecorded:
    """What all others are told of a result; no amount."""
    told = found.fact
    message = performance_pb2.ResultRecorded(
        metric=performance_pb2.Metric.ValueType(told.metric),
        customer_id=told.customer_id,
        business_date=told.business_date,
        counts=found.counts,
        reversed=found.reversed,
        result_id=found.result_id,
        credit_ids=[entry.credit_id for entry in made],
    )
    message.occurred_time.FromMicroseconds(to_micros(told.occurred_time))
    return message
