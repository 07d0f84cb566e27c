"""What the centre learns from events of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from centers.reach.domain import Channel, State
from engine.action.v1 import action_pb2
from engine.materials.v1 import materials_pb2
from engine.mesh.v1 import definition_pb2
from engine.product.v1 import product_pb2
from engine.wecom.v1 import wecom_pb2


def task_changed(
    desk: Any, task_id: int, state: action_pb2.TaskState.ValueType, **before: float
) -> Any:
    task = action_pb2.Task(task_id=task_id, customer_id=1, owner_id=7, state=state)
    task.chain.scene_version = 40
    task.update_time.FromDatetime(desk.clock.now() - timedelta(**before))
    return action_pb2.TaskChanged(task=task)


def scene_changed(status: action_pb2.SceneStatus.ValueType, *others: int) -> Any:
    return action_pb2.SceneChanged(scene_version=40, scene_versions=others, status=status)


def message_changed(
    contact_id: int, state: wecom_pb2.MessageTaskState.ValueType, code: str = ""
) -> Any:
    task = wecom_pb2.MessageTask(contact_id=contact_id, state=state, result_code=code)
    return wecom_pb2.MessageTaskChanged(message_task=task)


async def test_a_task_that_was_told_of_can_be_contacted_for(desk: Any) -> None:
    """With its chain; and no more once it is done."""
    react = desk.reactions.on_action
    await desk.hear(react, task_changed(desk, 30, action_pb2.TASK_STATE_IN_PROGRESS))
    assert (await desk.ask(task_id=30)).chain.scene_version == 40


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (action_pb2.TASK_STATE_CANCELLED, "TASK_CANCELLED"),
        (action_pb2.TASK_STATE_RECALLED, "TASK_RECALLED"),
        (action_pb2.TASK_STATE_EXPIRED, "TASK_EXPIRED"),
    ],
)
async def test_x10_the_end_of_a_task_takes_its_contacts_back(
    desk: Any, state: action_pb2.TaskState.ValueType, code: str
) -> None:
    """Queued ones at once; one in WeCom when WeCom lets go of it; one that is out stays."""
    react = desk.reactions.on_action
    for customer, task in ((1, 30), (2, 31), (3, 32)):
        await desk.task(task, customer)
    out = await desk.ask(3, task_id=32)
    await desk.dispatch()
    waiting = await desk.ask(2, Channel.WECOM, task_id=31)
    await desk.dispatch()
    queued = await desk.ask(1, task_id=30)
    desk.later(seconds=1)
    for task in (30, 31, 32):
        await desk.hear(react, task_changed(desk, task, state))
    assert await desk.state(queued.contact_id) is State.CANCELLED
    await desk.dispatch()
    ended = await desk.contact(waiting.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, code)
    assert await desk.state(out.contact_id) is State.SENT


async def test_an_older_event_of_a_task_changes_nothing(desk: Any) -> None:
    """It may come late from the dead letters."""
    await desk.task(30)
    react = desk.reactions.on_action
    await desk.hear(react, task_changed(desk, 30, action_pb2.TASK_STATE_CANCELLED, seconds=5))
    assert (await desk.ask(task_id=30)).state == int(State.QUEUED)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (action_pb2.SCENE_STATUS_PAUSED, State.QUEUED),
        (action_pb2.SCENE_STATUS_ENDED, State.QUEUED),
        (action_pb2.SCENE_STATUS_SUPERSEDED, State.SENT),
    ],
)
async def test_a_scene_is_stopped_by_its_event_too(
    desk: Any, status: action_pb2.SceneStatus.ValueType, state: State
) -> None:
    """Paused and ended ones wait; of one with a newer version the tasks go on."""
    await desk.task(30)
    made = await desk.ask(task_id=30)
    await desk.hear(desk.reactions.on_action, scene_changed(status))
    await desk.dispatch()
    assert await desk.state(made.contact_id) is state


async def test_x14_a_scene_is_stopped_with_all_its_versions_by_its_event(desk: Any) -> None:
    """And goes on with all of them; another scene was never touched."""
    made = []
    for task_id, version in ((30, 39), (31, 40), (32, 50)):
        await desk.task(task_id, task_id, scene=version)
        made.append((await desk.ask(task_id, task_id=task_id)).contact_id)
    react = desk.reactions.on_action
    await desk.hear(react, scene_changed(action_pb2.SCENE_STATUS_PAUSED, 38, 39))
    await desk.dispatch()
    states = [await desk.state(one) for one in made]
    assert states == [State.QUEUED, State.QUEUED, State.SENT]
    desk.later(seconds=1)
    await desk.hear(react, scene_changed(action_pb2.SCENE_STATUS_RUNNING, 38, 39))
    await desk.dispatch()
    assert [await desk.state(one) for one in made] == [State.SENT] * 3


async def test_x14_an_event_from_before_the_stop_does_not_resume_the_scene(desk: Any) -> None:
    """The launch is heard of after the kill switch: it stays stopped until a later event."""
    await desk.task(30)
    made = await desk.ask(task_id=30)
    launched = desk.clock.now()
    desk.later(seconds=1)
    await desk.contacts.hold(40, held=True)
    running = scene_changed(action_pb2.SCENE_STATUS_RUNNING)
    await desk.hear(desk.reactions.on_action, running, launched)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.QUEUED
    desk.later(seconds=1)
    await desk.hear(desk.reactions.on_action, running)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.SENT


async def test_wecom_tells_how_its_messages_go_on(desk: Any) -> None:
    """Confirmed is sent, then delivered; again, or in another order, it stays."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    react = desk.reactions.on_wecom
    pending = message_changed(made.contact_id, wecom_pb2.MESSAGE_TASK_STATE_MEMBER_PENDING)
    confirmed = message_changed(made.contact_id, wecom_pb2.MESSAGE_TASK_STATE_CONFIRMED)
    delivered = message_changed(made.contact_id, wecom_pb2.MESSAGE_TASK_STATE_DELIVERED)
    await desk.hear(react, pending)
    await desk.hear(react, confirmed)
    assert await desk.state(made.contact_id) is State.SENT
    await desk.hear(react, delivered)
    await desk.hear(react, confirmed)
    assert await desk.state(made.contact_id) is State.DELIVERED
    assert await desk.errands() == 0


async def test_a_message_that_wecom_did_not_deliver_failed_with_its_code(desk: Any) -> None:
    """And gives its place back."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    failed = message_changed(made.contact_id, wecom_pb2.MESSAGE_TASK_STATE_FAILED, "LIMIT_REACHED")
    await desk.hear(desk.reactions.on_wecom, failed)
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.FAILED, "LIMIT_REACHED")
    assert (await desk.ask()).state == int(State.QUEUED)


async def test_the_event_of_a_withdrawal_means_what_was_asked_for(desk: Any) -> None:
    """An expiry that WeCom tells of before it answers is an expiry, not a cancellation."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    desk.later(hours=25)
    desk.wecom.outcome = None  # its answer was lost; the event was not
    await desk.dispatch()
    cancelled = message_changed(made.contact_id, wecom_pb2.MESSAGE_TASK_STATE_CANCELLED)
    await desk.hear(desk.reactions.on_wecom, cancelled)
    assert await desk.state(made.contact_id) is State.EXPIRED


async def test_a_recalled_script_is_taken_out_of_wecom(desk: Any) -> None:
    """In whichever version: the event names the newest, which may be a draft."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    react = desk.reactions.on_materials
    for material_id, state in ((6, State.AWAIT_STAFF_CONFIRM), (5, State.CANCELLED)):
        recalled = materials_pb2.MaterialChanged(
            material=materials_pb2.Material(
                definition=definition_pb2.Definition(definition_id=material_id, version=3),
                status=materials_pb2.MATERIAL_STATUS_RECALLED,
            )
        )
        await desk.hear(react, recalled)
        await desk.dispatch()
        assert await desk.state(made.contact_id) is state


async def test_a_product_on_sale_again_may_go_out(desk: Any) -> None:
    """What was barred is let through by the newer event."""
    desk.gate.product_ids = (9,)
    made = await desk.ask()
    for status in (product_pb2.PRODUCT_STATUS_SUSPENDED, product_pb2.PRODUCT_STATUS_ON_SALE):
        product = product_pb2.Product(
            definition=definition_pb2.Definition(definition_id=9), status=status
        )
        await desk.hear(desk.reactions.on_product, product_pb2.ProductChanged(product=product))
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.SENT


async def test_events_of_other_kinds_are_let_pass(desk: Any) -> None:
    """A topic may tell more than is asked for."""
    for react in (
        desk.reactions.on_action,
        desk.reactions.on_wecom,
        desk.reactions.on_materials,
        desk.reactions.on_product,
    ):
        await desk.hear(react, action_pb2.OpportunityChanged())
    assert await desk.told() == []


async def test_a_report_of_what_nobody_knows_changes_nothing(desk: Any) -> None:
    """An event about a contact of another platform is none of ours."""
    delivered = message_changed(99, wecom_pb2.MESSAGE_TASK_STATE_DELIVERED)
    await desk.hear(desk.reactions.on_wecom, delivered)
    assert await desk.told() == []
