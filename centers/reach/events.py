"""What the reach centre learns from events of others, and what it does about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from centers.reach import moving
from centers.reach.carrier import told
from centers.reach.contact_rows import (
    RETRACTABLE_OF_MATERIAL,
    RETRACTABLE_OF_PRODUCT,
    RETRACTABLE_OF_TASK,
    to_contact,
)
from centers.reach.domain import Chain, Report
from centers.reach.errand import DEAD_TASKS, RECALLED, SUSPENDED
from centers.reach.projection_rows import Barred, Task, learn_barred, learn_hold, learn_task
from engine.action.v1 import action_pb2
from engine.materials.v1 import materials_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.product.v1 import product_pb2
from engine.wecom.v1 import wecom_pb2
from mesh.clock import Clock
from mesh.events import Effect, Subscription
from mesh.storage import Transaction

_TASK: Final = action_pb2.TaskChanged.DESCRIPTOR.full_name
_SCENE: Final = action_pb2.SceneChanged.DESCRIPTOR.full_name
_MESSAGE_TASK: Final = wecom_pb2.MessageTaskChanged.DESCRIPTOR.full_name
_MATERIAL: Final = materials_pb2.MaterialChanged.DESCRIPTOR.full_name
_PRODUCT: Final = product_pb2.ProductChanged.DESCRIPTOR.full_name

_HELD: Final = {
    int(action_pb2.SCENE_STATUS_RUNNING): False,
    int(action_pb2.SCENE_STATUS_PAUSED): True,
    int(action_pb2.SCENE_STATUS_ENDED): True,
}
"""Whether a status stops all of a scene; in any other its contacts go on as they do."""

_PRODUCT_BARRED: Final = {
    int(product_pb2.PRODUCT_STATUS_ON_SALE): False,
    int(product_pb2.PRODUCT_STATUS_SUSPENDED): True,
}


class Reactions:
    """Decides what each event changes here."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def subscriptions(self) -> Sequence[Subscription]:
        """Everything that is consumed."""
        return [
            Subscription(group="work", topic="action", react=self.on_action),
            Subscription(group="messages", topic="wecom", react=self.on_wecom),
            Subscription(group="content", topic="materials", react=self.on_materials),
            Subscription(group="shelf", topic="product", react=self.on_product),
        ]

    async def on_action(self, event: Event) -> Effect | None:
        """Tasks are remembered; those that are over take their contacts back. Scenes stop."""
        if event.type == _TASK:
            return self._task(action_pb2.TaskChanged.FromString(event.payload).task)
        if event.type != _SCENE:
            return None
        scene = action_pb2.SceneChanged.FromString(event.payload)
        held = _HELD.get(scene.status)
        if held is None:
            return None
        when = event.time.ToDatetime(tzinfo=UTC)
        versions = {scene.scene_version, *scene.scene_versions}

        async def effect(tx: Transaction) -> None:
            await learn_hold(tx, versions, when, held=held)

        return effect

    async def on_wecom(self, event: Event) -> Effect | None:
        """A message task moved on, and its contact with it."""
        if event.type != _MESSAGE_TASK:
            return None
        message_task = wecom_pb2.MessageTaskChanged.FromString(event.payload).message_task
        report = told(message_task)
        return None if report is None else self._report(message_task.contact_id, report)

    async def on_materials(self, event: Event) -> Effect | None:
        """What was recalled must not go out any more, nor be confirmed, in no version."""
        if event.type != _MATERIAL:
            return None
        material = materials_pb2.MaterialChanged.FromString(event.payload).material
        if material.status != materials_pb2.MATERIAL_STATUS_RECALLED:
            return None
        material_id = material.definition.definition_id

        async def effect(tx: Transaction) -> None:
            await learn_barred(tx, Barred.MATERIAL, material_id, barred=True)
            for row in await tx.fetch_all(RETRACTABLE_OF_MATERIAL, {"material": material_id}):
                await moving.retract(tx, to_contact(row), RECALLED, self._clock.now())

        return effect

    async def on_product(self, event: Event) -> Effect | None:
        """A product that is suspended must not be offered, nor what offers it be confirmed."""
        if event.type != _PRODUCT:
            return None
        product = product_pb2.ProductChanged.FromString(event.payload).product
        barred = _PRODUCT_BARRED.get(product.status)
        if barred is None:
            return None
        product_id = product.definition.definition_id

        async def effect(tx: Transaction) -> None:
            await learn_barred(tx, Barred.PRODUCT, product_id, barred=barred)
            named = {"named": f"%,{product_id},%"}
            for row in await tx.fetch_all(RETRACTABLE_OF_PRODUCT, named) if barred else ():
                await moving.retract(tx, to_contact(row), SUSPENDED, self._clock.now())

        return effect

    def _task(self, message: action_pb2.Task) -> Effect:
        task = _to_task(message)
        code = DEAD_TASKS.get(task.state, "")

        async def effect(tx: Transaction) -> None:
            if not await learn_task(tx, task) or not code:
                return
            for row in await tx.fetch_all(RETRACTABLE_OF_TASK, {"task": task.task_id}):
                await moving.retract(tx, to_contact(row), code, self._clock.now())

        return effect

    def _report(self, contact_id: int, report: Report) -> Effect:
        async def effect(tx: Transaction) -> None:
            await moving.apply(tx, contact_id, report, self._clock.now())

        return effect


def _to_task(message: action_pb2.Task) -> Task:
    chain = message.chain
    return Task(
        task_id=message.task_id,
        customer_id=message.customer_id,
        owner_id=message.owner_id,
        state=message.state,
        chain=Chain(
            scene_version=chain.scene_version,
            trigger_id=chain.trigger_id,
            opportunity_id=chain.opportunity_id,
            task_id=message.task_id,
        ),
        update_time=message.update_time.ToDatetime(tzinfo=UTC),
    )
