"""Opportunities, tasks and their owners. Pure rules.

States and kinds are the contract's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from engine.mesh.v1 import ownership_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.errors import MeshError, MeshReason

TaskState: TypeAlias = action_pb2.TaskState.ValueType
OpportunityState: TypeAlias = action_pb2.OpportunityState.ValueType

OPEN: Final = frozenset({action_pb2.TASK_STATE_ASSIGNED, action_pb2.TASK_STATE_IN_PROGRESS})
"""States of a task that somebody still has to do."""

_ENDS: Final = {
    action_pb2.OUTCOME_INTERESTED: action_pb2.TASK_STATE_SUCCESS,
    action_pb2.OUTCOME_NO_INTENT: action_pb2.TASK_STATE_NO_INTENT,
    action_pb2.OUTCOME_UNREACHABLE: action_pb2.TASK_STATE_UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOwner:
    """Whose desk a task is on; `branch_id` 0 is head office."""

    kind: ownership_pb2.OwnerKind.ValueType
    owner_id: int
    branch_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerInterval:
    """Who owned a task from when to when, the end exclusive; None for the present owner."""

    owner: TaskOwner
    start_time: datetime
    end_time: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """What made a trigger worth acting on, or not.

    There is one for each version of a scene, customer and `window_key`, the number
    of the window in which the trigger's event happened.
    """

    opportunity_id: int
    trigger_id: int
    scene_id: int
    scene_version: int
    customer_id: int
    window_key: int
    arm: action_pb2.Arm.ValueType
    state: OpportunityState
    suppress_reason: action_pb2.SuppressReason.ValueType
    occurred_time: datetime
    create_time: datetime
    expire_time: datetime

    @property
    def is_open(self) -> bool:
        """Whether it is worth acting on until it expires."""
        return self.state == action_pb2.OPPORTUNITY_STATE_TASKED

    @property
    def chain(self) -> ChainIds:
        """The chain ids known with it."""
        return ChainIds(
            scene_version=self.scene_version,
            trigger_id=self.trigger_id,
            opportunity_id=self.opportunity_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The robot that works on a task, named as the actor of a call, and until when."""

    holder: str
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Who works on a task: the actor of the call, and his staff number."""

    actor: str
    staff_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit of work for one owner. `version` counts its changes from 1.

    `expire_time` is its opportunity's: the task ends then, whatever its due time.
    """

    task_id: int
    opportunity_id: int
    trigger_id: int
    scene_id: int
    scene_version: int
    node: int
    customer_id: int
    owner: TaskOwner
    state: TaskState
    objective: str
    due_time: datetime
    expire_time: datetime
    create_time: datetime
    update_time: datetime
    outcome: action_pb2.Outcome.ValueType = action_pb2.OUTCOME_UNSPECIFIED
    contact_id: int = 0
    lease: Lease | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        """Names this state of it; another state has another etag."""
        return f"{self.task_id:x}-{self.version:x}"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do it."""
        return self.state in OPEN

    @property
    def chain(self) -> ChainIds:
        """The chain ids known with it."""
        return ChainIds(
            scene_version=self.scene_version,
            trigger_id=self.trigger_id,
            opportunity_id=self.opportunity_id,
            task_id=self.task_id,
            contact_id=self.contact_id,
        )

    def started(self, worker: Worker, now: datetime) -> Task:
        """The task, begun; the same when it was.

        Raises:
            MeshError: OUT_OF_SCOPE, TASK_CLOSED or LEASE_HELD.
        """
        self._must_be_workable(worker, now)
        if self.state == action_pb2.TASK_STATE_IN_PROGRESS:
            return self
        return self._changed(now, state=action_pb2.TASK_STATE_IN_PROGRESS)

    def completed(
        self,
        outcome: action_pb2.Outcome.ValueType,
        *,
        contact_id: int,
        worker: Worker,
        etag: str,
        now: datetime,
    ) -> Task:
        """The task with its outcome, begun before or not.

        Raises:
            MeshError: OUT_OF_SCOPE, TASK_CLOSED, LEASE_HELD or TASK_ETAG_MISMATCH.
        """
        self._must_be_workable(worker, now)
        if etag and etag != self.etag:
            raise MeshError(ActionReason.TASK_ETAG_MISMATCH, metadata={"etag": self.etag})
        return self._changed(
            now, state=_ENDS[outcome], outcome=outcome, contact_id=contact_id, lease=None
        )

    def given(self, owner: TaskOwner, now: datetime) -> Task:
        """The task on another desk, where nobody has begun it; the same when it is there.

        Raises:
            MeshError: TASK_CLOSED.
        """
        self._must_be_open()
        if owner == self.owner:
            return self
        return self._changed(now, owner=owner, state=action_pb2.TASK_STATE_ASSIGNED, lease=None)

    def leased(self, lease: Lease, now: datetime) -> Task:
        """The task, held by a robot."""
        return self._changed(now, lease=lease)

    def ended(self, state: TaskState, now: datetime) -> Task:
        """The open task, closed from outside: expired, cancelled or recalled."""
        return self._changed(now, state=state, lease=None)

    def _changed(self, now: datetime, **fields: Any) -> Task:
        return replace(self, **fields, update_time=now, version=self.version + 1)

    def _must_be_open(self) -> None:
        if not self.is_open:
            state = action_pb2.TaskState.Name(self.state)
            raise MeshError(ActionReason.TASK_CLOSED, metadata={"state": state})

    def _must_be_workable(self, worker: Worker, now: datetime) -> None:
        """Only who owns it now works on it; of several robots of a pool, who holds it."""
        if worker.staff_id != self.owner.owner_id:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        self._must_be_open()
        lease = self.lease
        if lease is not None and lease.holder != worker.actor and lease.expire_time > now:
            raise MeshError(ActionReason.LEASE_HELD)


def after_outcome(
    outcome: action_pb2.Outcome.ValueType, *, is_last: bool
) -> OpportunityState | None:
    """What an opportunity becomes by the outcome of its task; None when it stays as it is.

    A customer who could not be reached stays worth acting on until it expires.
    """
    if outcome == action_pb2.OUTCOME_NO_INTENT:
        return action_pb2.OPPORTUNITY_STATE_LOST
    if outcome == action_pb2.OUTCOME_INTERESTED and is_last:
        return action_pb2.OPPORTUNITY_STATE_CONVERTED
    return None
