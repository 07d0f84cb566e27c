"""What the benefits centre hears: tasks of the action centre."""

from __future__ import annotations

from datetime import UTC
from typing import Final

from centers.benefits.task_rows import Task, learn
from engine.action.v1 import action_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import Event
from mesh.events import Effect, Subscription
from mesh.storage import Transaction

_CHANGED: Final = action_pb2.TaskChanged.DESCRIPTOR.full_name


def subscriptions() -> list[Subscription]:
    """What is consumed."""
    return [Subscription(group="tasks", topic="action", react=on_action)]


async def on_action(event: Event) -> Effect | None:
    """Remember tasks with their chains.

    A task that is cancelled because its event was taken back (X10) revokes no grant
    here: the customer may have been told of it. Who decides so calls RevokeGrant.
    New claims for such a task are refused.
    """
    if event.type != _CHANGED:
        return None
    learned = _told(action_pb2.TaskChanged.FromString(event.payload).task)

    async def effect(tx: Transaction) -> None:
        await learn(tx, learned)

    return effect


def _told(message: action_pb2.Task) -> Task:
    chain = ChainIds(task_id=message.task_id, contact_id=message.contact_id)
    chain.MergeFrom(message.chain)
    return Task(
        task_id=message.task_id,
        customer_id=message.customer_id,
        state=message.state,
        chain=chain,
        update_time=message.update_time.ToDatetime(tzinfo=UTC),
    )
