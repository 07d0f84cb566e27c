"""What the performance centre learns from events of others.

A trigger that is taken back (topic "decision") changes no result: money that moved
has moved; the bank's system takes it back itself when it did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from functools import partial
from typing import Final

from centers.performance import history_rows
from centers.performance.domain import Contact, Opportunity
from centers.performance.late import LateCauses
from engine.action.v1 import action_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.reach.v1 import reach_pb2
from mesh.events import Effect, Subscription
from mesh.storage import Transaction

_OPPORTUNITY: Final = action_pb2.OpportunityChanged.DESCRIPTOR.full_name
_TASK: Final = action_pb2.TaskChanged.DESCRIPTOR.full_name
_CONTACT: Final = reach_pb2.ContactChanged.DESCRIPTOR.full_name


class Reactions:
    """Decides what each event changes here."""

    def __init__(self, late: LateCauses) -> None:
        self._late = late

    def subscriptions(self) -> Sequence[Subscription]:
        """Everything that is consumed."""
        return [
            Subscription(group="causes", topic="action", react=self.on_action),
            Subscription(group="contacts", topic="reach", react=self.on_reach),
        ]

    async def on_action(self, event: Event) -> Effect | None:
        """Opportunities of treated customers are causes; a task belongs to one."""
        if event.type == _TASK:
            return _learn_task(action_pb2.TaskChanged.FromString(event.payload).task)
        if event.type != _OPPORTUNITY:
            return None
        told = action_pb2.OpportunityChanged.FromString(event.payload).opportunity
        if told.arm != action_pb2.ARM_TREATED:
            return None
        learn = partial(history_rows.learn_opportunity, told=_to_opportunity(told))
        return await self._late.effect(told.customer_id, learn)

    async def on_reach(self, event: Event) -> Effect | None:
        """A contact that reached its customer is why its owner gets the result."""
        if event.type != _CONTACT:
            return None
        told = reach_pb2.ContactChanged.FromString(event.payload).contact
        if not told.reached or not told.chain.opportunity_id:
            return None
        learn = partial(history_rows.learn_contact, told=_to_contact(told))
        return await self._late.effect(told.customer_id, learn)


def _learn_task(task: action_pb2.Task) -> Effect | None:
    opportunity_id = task.chain.opportunity_id
    if not opportunity_id:
        return None

    async def effect(tx: Transaction) -> None:
        await history_rows.learn_task(
            tx, task.task_id, customer_id=task.customer_id, opportunity_id=opportunity_id
        )

    return effect


def _to_opportunity(told: action_pb2.Opportunity) -> Opportunity:
    return Opportunity(
        opportunity_id=told.opportunity_id,
        customer_id=told.customer_id,
        scene_version=told.scene_version,
        trigger_id=told.trigger_id,
        acted_on=told.suppress_reason == action_pb2.SUPPRESS_REASON_UNSPECIFIED,
        occurred_time=told.occurred_time.ToDatetime(tzinfo=UTC),
    )


def _to_contact(told: reach_pb2.Contact) -> Contact:
    return Contact(
        contact_id=told.contact_id,
        customer_id=told.customer_id,
        opportunity_id=told.chain.opportunity_id,
        task_id=told.chain.task_id,
        reached_time=told.update_time.ToDatetime(tzinfo=UTC),
    )
