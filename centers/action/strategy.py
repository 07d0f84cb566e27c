"""What a version of a scene says: its windows, its nodes, whom it treats. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from centers.action.domain import TaskOwner
from centers.action.holdout import held_out
from engine.action.v1 import action_pb2
from engine.mesh.v1 import ownership_pb2
from mesh.clock import to_micros
from mesh.ownership import Owner

WINDOW: Final = timedelta(days=30)
"""One opportunity for a customer in each window, when the scene does not say."""

TTL: Final = timedelta(days=7)
"""How long an opportunity is worth acting on, when the scene does not say."""

DUE_WITHIN: Final = timedelta(days=1)
"""How long an owner has for a node, when it does not say."""

MOST: Final = timedelta(days=3_650)

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a customer when a trigger is judged.

    `owner` is None when nobody owns him. `same_objective` tells of an open task.
    """

    opted_out: bool
    same_objective: bool
    runs: bool
    owner: Owner | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a trigger; with an owner when a task is to be made, and only then."""

    arm: action_pb2.Arm.ValueType
    state: action_pb2.OpportunityState.ValueType
    reason: action_pb2.SuppressReason.ValueType = action_pb2.SUPPRESS_REASON_UNSPECIFIED
    owner: TaskOwner | None = None

    def taken_back(self) -> Verdict:
        """What becomes of the trigger when its event was taken back."""
        return Verdict(arm=self.arm, state=action_pb2.OPPORTUNITY_STATE_REVERSED)


HELD_OUT: Final = Verdict(arm=action_pb2.ARM_HOLDOUT, state=action_pb2.OPPORTUNITY_STATE_HELD_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One version of a scene with its content, which readers share: it must not be changed."""

    scene_id: int
    scene_version: int
    scene: action_pb2.Scene

    @property
    def salt(self) -> str:
        """What the holdout is drawn with: the scene's own id, so that its versions agree."""
        return self.scene.holdout_salt or str(self.scene_id)

    def holds_out(self, customer_id: int) -> bool:
        """Whether the customer is left alone."""
        return held_out(self.salt, customer_id, self.scene.holdout_bp)

    def window_key(self, occurred: datetime) -> int:
        """The number of the window in which something happened."""
        window = _span(self.scene.window, WINDOW) // _MICROSECOND
        return to_micros(occurred) // window

    def expire_time(self, created: datetime) -> datetime:
        """When an opportunity that came to be then is worth nothing any more."""
        return created + _span(self.scene.opportunity_ttl, TTL)

    def due_time(self, node: int, created: datetime, expire_time: datetime) -> datetime:
        """When a task of the node that came to be then must be done."""
        due_within = _span(self.scene.nodes[node].due_within, DUE_WITHIN)
        return min(created + due_within, expire_time)

    def is_last(self, node: int) -> bool:
        """Whether no node comes after this one."""
        return node + 1 >= len(self.scene.nodes)

    def allows(self, node: int, kind: ownership_pb2.OwnerKind.ValueType) -> bool:
        """Whether owners of this kind may do the node."""
        actors = self.scene.nodes[node].actors
        return not actors or kind in actors

    def owner_for(self, node: int, owner: TaskOwner) -> TaskOwner | None:
        """Who does the node for whom `owner` looks after: he, else the pool; None for nobody."""
        if owner.owner_id and self.allows(node, owner.kind):
            return owner
        if not owner.owner_id or not self.scene.HasField("pool"):
            return None
        pool = self.scene.pool
        return TaskOwner(kind=pool.owner_kind, owner_id=pool.owner_id, branch_id=0)

    def judge(self, customer_id: int, facts: Facts) -> Verdict:
        """What becomes of a trigger of the customer. Who is held out is left alone first."""
        if self.holds_out(customer_id):
            return HELD_OUT
        owner = self.owner_for(0, desk(facts.owner)) if facts.owner else None
        if facts.opted_out:
            return _suppressed(action_pb2.SUPPRESS_REASON_OPTED_OUT)
        if facts.same_objective:
            return _suppressed(action_pb2.SUPPRESS_REASON_SAME_OBJECTIVE)
        if not facts.runs:
            return _suppressed(action_pb2.SUPPRESS_REASON_SCENE_NOT_RUNNING)
        if owner is None:
            return _suppressed(action_pb2.SUPPRESS_REASON_NO_OWNER)
        return Verdict(
            arm=action_pb2.ARM_TREATED,
            state=action_pb2.OPPORTUNITY_STATE_TASKED,
            owner=owner,
        )


def desk(owner: Owner) -> TaskOwner:
    """The desk of a customer's primary owner."""
    return TaskOwner(kind=owner.kind, owner_id=owner.owner_id, branch_id=owner.branch_id)


def _suppressed(reason: action_pb2.SuppressReason.ValueType) -> Verdict:
    return Verdict(
        arm=action_pb2.ARM_TREATED,
        state=action_pb2.OPPORTUNITY_STATE_SUPPRESSED,
        reason=reason,
    )


def _span(given: Duration, default: timedelta) -> timedelta:
    """A duration that is set and positive, ten years at most; else the default."""
    if given.seconds <= 0 and given.nanos <= 0:
        return default
    if given.seconds >= MOST.total_seconds():
        return MOST
    return max(given.ToTimedelta(), timedelta(microseconds=1))
