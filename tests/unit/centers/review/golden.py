"""Scenario A1 as the events of its centres, and what a review must find."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined

from engine.action.v1 import action_pb2 as action
from engine.benefits.v1 import benefits_pb2 as benefits
from engine.mesh.v1 import ownership_pb2 as ownership
from engine.mesh.v1.event_pb2 import Event
from engine.reach.v1 import reach_pb2 as reach
from tests.unit.centers.review.telling import contact, grant, opportunity, result, scene, task

STAGES = {
    "opportunities": 1_300,
    "treated": 1_170,
    "tasks": 1_050,
    "attempted": 900,
    "reached": 598,
    "intent": 179,
    "converted": 95,
}
COUNTS = {
    "held_out": 130,
    "suppressed_opted_out": 72,
    "suppressed_same_objective": 48,
    "suppressed_other": 0,
    "cancelled_reversed": 25,
    "tasks_rm": 700,
    "tasks_do": 290,
    "tasks_robot": 60,
    "receipts": 900,
    "admitted": 825,
    "deferred": 60,
    "denied_cap": 15,
    "denied_other": 0,
    "wecom_created": 520,
    "wecom_confirmed": 480,
    "wecom_delivered": 460,
    "calls": 305,
    "effective_calls": 138,
    "claimed": 150,
    "granted": 120,
    "wait_listed": 30,
    "converted_holdout": 4,
}

_TASKS = range(1, 1_051)
_OPTED_OUT = range(1_051, 1_123)
_SAME_OBJECTIVE = range(1_123, 1_171)
_HELD_OUT = range(1_171, 1_301)
_WECOM = range(1, 521)
_CONFIRMED = range(1, 481)
_DELIVERED = range(1, 461)
_CALLS = range(521, 826)
_EFFECTIVE = range(521, 659)
_INTERESTED = range(1, 180)
_CONVERTED = range(1, 96)


def golden() -> Iterator[Event]:
    """The whole run; events of one key in their order."""
    yield scene()
    yield from _drawn()
    yield from joined.from_iterable(_of_task(number) for number in _TASKS)
    yield from _completed()
    yield from (grant(number, state=benefits.GRANT_STATE_WAIT_LISTED) for number in range(121, 151))
    yield from (grant(number) for number in range(1, 121))
    converted = [*_CONVERTED, *_HELD_OUT[:4]]
    yield from (result(number, number) for number in converted)


def _drawn() -> Iterator[Event]:
    opted_out = action.SUPPRESS_REASON_OPTED_OUT
    same_objective = action.SUPPRESS_REASON_SAME_OBJECTIVE
    yield from (opportunity(number) for number in _TASKS)
    yield from (opportunity(number, suppressed=opted_out) for number in _OPTED_OUT)
    yield from (opportunity(number, suppressed=same_objective) for number in _SAME_OBJECTIVE)
    yield from (opportunity(number, held_out=True) for number in _HELD_OUT)


def _of_task(number: int) -> Iterator[Event]:
    """A task with its contact, if it has one."""
    owner = _owner(number)
    yield task(number, owner=owner)
    if number in _WECOM:
        yield from _message(number)
    elif number in _CALLS:
        yield from _call(number)
    elif number <= 885:
        yield from _deferred(number)
    elif number <= 900:
        yield contact(
            number,
            number,
            channel=reach.CHANNEL_SMS,
            state=reach.CONTACT_STATE_DENIED,
            decision=reach.ADMISSION_DECISION_DENIED,
            reason=reach.ADMISSION_CHECK_CAP,
        )
    elif number > 1_025:
        yield task(number, owner=owner, state=action.TASK_STATE_CANCELLED)


def _owner(number: int) -> int:
    if number <= 700:
        return ownership.OWNER_KIND_RELATIONSHIP_MANAGER
    return ownership.OWNER_KIND_DIRECT_OPERATIONS if number <= 990 else ownership.OWNER_KIND_ROBOT


def _message(number: int) -> Iterator[Event]:
    yield contact(number, number)
    yield contact(number, number, state=reach.CONTACT_STATE_AWAIT_STAFF_CONFIRM)
    if number in _CONFIRMED:
        yield contact(number, number, state=reach.CONTACT_STATE_SENT)
    if number in _DELIVERED:
        yield contact(number, number, state=reach.CONTACT_STATE_DELIVERED, reached=True)
    elif number in _CONFIRMED:
        yield contact(number, number, state=reach.CONTACT_STATE_FAILED)


def _call(number: int) -> Iterator[Event]:
    channel = reach.CHANNEL_AI_CALL if number % 5 == 0 else reach.CHANNEL_CALL
    yield contact(number, number, channel=channel)
    reached = number in _EFFECTIVE
    state = reach.CONTACT_STATE_DELIVERED if reached else reach.CONTACT_STATE_FAILED
    yield contact(number, number, channel=channel, state=state, reached=reached)


def _deferred(number: int) -> Iterator[Event]:
    """Goes out in the morning, and is still one that was deferred."""
    for state in (reach.CONTACT_STATE_DEFERRED, reach.CONTACT_STATE_SENT):
        yield contact(
            number,
            number,
            channel=reach.CHANNEL_SMS,
            state=state,
            decision=reach.ADMISSION_DECISION_DEFERRED,
            reason=reach.ADMISSION_CHECK_QUIET_HOURS,
        )


def _completed() -> Iterator[Event]:
    for number in _INTERESTED:
        yield task(
            number,
            owner=_owner(number),
            state=action.TASK_STATE_SUCCESS,
            outcome=action.OUTCOME_INTERESTED,
        )
        yield opportunity(number, state=action.OPPORTUNITY_STATE_CONVERTED)
