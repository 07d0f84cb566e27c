"""How far the customers of a version of a scene came: stages and side counts. Pure rules.

Each stage counts a part of the one before it that it names, so that a share is
never above the whole: who wants it without having been reached is no intent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from centers.review.groups import Contacts, Converted, Grants, Group, Opportunities, Tasks
from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1 import ownership_pb2
from engine.reach.v1 import reach_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage; `denominator` names the stage that it is a part of, empty for none."""

    name: str
    count: int
    denominator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """The stages in order, and the side counts by name."""

    stages: Sequence[Stage]
    counts: Mapping[str, int]


_Alike = TypeVar("_Alike", bound=Group)

_NAMED_REASONS: Final = frozenset(
    {
        action_pb2.SUPPRESS_REASON_UNSPECIFIED,
        action_pb2.SUPPRESS_REASON_OPTED_OUT,
        action_pb2.SUPPRESS_REASON_SAME_OBJECTIVE,
    }
)

_STAGES: Final = (
    ("opportunities", ""),
    ("treated", "opportunities"),
    ("tasks", "treated"),
    ("attempted", "tasks"),
    ("reached", "attempted"),
    ("intent", "reached"),
    ("converted", "treated"),
)
"""The stages, each with its denominator."""


def funnel(groups: Iterable[Group]) -> Funnel:
    """The funnel of a version from its facts in groups of those that are alike."""
    found = list(groups)
    opportunities = [one for one in found if isinstance(one, Opportunities) and one.arm]
    counts = _of_tasks([one for one in found if isinstance(one, Tasks)])
    counts |= _of_contacts([one for one in found if isinstance(one, Contacts)])
    counts |= _of_grants([one for one in found if isinstance(one, Grants)])
    counts |= _of_opportunities(opportunities)
    converted = {one.arm: one.count for one in found if isinstance(one, Converted)}
    counts["converted_holdout"] = converted.get(action_pb2.ARM_HOLDOUT, 0)
    reached = _progress(opportunities)
    reached["converted"] = converted.get(action_pb2.ARM_TREATED, 0)
    stages = [
        Stage(name=name, count=reached[name], denominator=denominator)
        for name, denominator in _STAGES
    ]
    return Funnel(stages=stages, counts=counts)


def _progress(opportunities: Sequence[Opportunities]) -> dict[str, int]:
    treated = [one for one in opportunities if one.is_treated]
    tasks = [one for one in treated if one.tasked]
    attempted = [one for one in tasks if one.attempted]
    reached = [one for one in attempted if one.reached]
    intent = [one for one in reached if one.interested]
    return {
        "opportunities": _sum(opportunities),
        "treated": _sum(treated),
        "tasks": _sum(tasks),
        "attempted": _sum(attempted),
        "reached": _sum(reached),
        "intent": _sum(intent),
    }


def _of_opportunities(found: Sequence[Opportunities]) -> dict[str, int]:
    treated = [one for one in found if one.is_treated]
    opted_out = action_pb2.SUPPRESS_REASON_OPTED_OUT
    same = action_pb2.SUPPRESS_REASON_SAME_OBJECTIVE
    return {
        "held_out": _sum(found) - _sum(treated),
        "suppressed_opted_out": _sum(treated, lambda one: one.suppress_reason == opted_out),
        "suppressed_same_objective": _sum(treated, lambda one: one.suppress_reason == same),
        "suppressed_other": _sum(treated, lambda one: one.suppress_reason not in _NAMED_REASONS),
    }


def _of_tasks(found: Sequence[Tasks]) -> dict[str, int]:
    rm = ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
    do = ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS
    robot, cancelled = ownership_pb2.OWNER_KIND_ROBOT, action_pb2.TASK_STATE_CANCELLED
    return {
        "cancelled_reversed": _sum(found, lambda one: one.state == cancelled),
        "tasks_rm": _sum(found, lambda one: one.owner_kind == rm),
        "tasks_do": _sum(found, lambda one: one.owner_kind == do),
        "tasks_robot": _sum(found, lambda one: one.owner_kind == robot),
    }


def _of_contacts(found: Sequence[Contacts]) -> dict[str, int]:
    deferred, cap = reach_pb2.ADMISSION_DECISION_DEFERRED, reach_pb2.ADMISSION_CHECK_CAP
    denied = [one for one in found if one.decision == reach_pb2.ADMISSION_DECISION_DENIED]
    wecom, calls = [one for one in found if one.is_wecom], [one for one in found if one.is_call]
    return {
        "receipts": _sum(found, lambda one: bool(one.decision)),
        "admitted": _sum(found, lambda one: one.is_admitted),
        "deferred": _sum(found, lambda one: one.decision == deferred),
        "denied_cap": _sum(denied, lambda one: one.reason == cap),
        "denied_other": _sum(denied, lambda one: one.reason != cap),
        "wecom_created": _sum(wecom),
        "wecom_confirmed": _sum(wecom, lambda one: one.sent),
        "wecom_delivered": _sum(wecom, lambda one: one.delivered),
        "calls": _sum(calls),
        "effective_calls": _sum(calls, lambda one: one.reached),
    }


def _of_grants(found: Sequence[Grants]) -> dict[str, int]:
    waiting = benefits_pb2.GRANT_STATE_WAIT_LISTED
    return {
        "claimed": _sum(found),
        "granted": _sum(found, lambda one: one.granted),
        "wait_listed": _sum(found, lambda one: one.state == waiting),
    }


def _sum(found: Iterable[_Alike], which: Callable[[_Alike], bool] = lambda _: True) -> int:
    return sum(one.count for one in found if which(one))
