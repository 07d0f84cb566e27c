"""Triggers become opportunities and tasks, once, and are taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from centers.action.domain import TaskOwner
from engine.action.v1 import action_pb2
from engine.decision.v1 import decision_pb2
from mesh.events import event
from tests.unit.centers.action.office import (
    AGENT,
    AGENT_KIND,
    BRANCH,
    MANAGER_KIND,
    RM,
    Office,
    owner,
    scene,
)

TASKED = action_pb2.OPPORTUNITY_STATE_TASKED
REVERSED = action_pb2.OPPORTUNITY_STATE_REVERSED


async def scene_of(office: Office, **fields: Any) -> tuple[int, int]:
    """Id and version of a scene that runs."""
    made = await office.launched(scene(**fields))
    return made.definition.definition_id, made.scene_version


async def test_a_trigger_puts_a_task_on_its_owners_desk(office: Office) -> None:
    """One opportunity, one task, one owner from its creation on, and both are told."""
    scene_id, scene_version = await scene_of(office)
    await office.fire(office.trigger(scene_id, 11))
    (made,) = await office.made(scene_version)
    (task,) = await office.open_tasks()
    assert (made.state, made.arm) == (TASKED, action_pb2.ARM_TREATED)
    assert task.owner == TaskOwner(kind=MANAGER_KIND, owner_id=RM, branch_id=BRANCH)
    assert (task.node, task.objective, task.state) == (
        0,
        "inflow.retain",
        action_pb2.TASK_STATE_ASSIGNED,
    )
    (held,) = await office.desk.owners.of(task.task_id)
    assert (held.owner, held.start_time, held.end_time) == (task.owner, task.create_time, None)
    (opportunity,) = await office.told(action_pb2.OpportunityChanged)
    (put,) = await office.told(action_pb2.TaskChanged)
    assert opportunity.opportunity.opportunity_id == put.task.chain.opportunity_id
    assert put.task.chain.scene_version == scene_version
    assert put.task.chain.trigger_id == made.trigger_id


async def test_a_trigger_delivered_again_makes_nothing_new(office: Office) -> None:
    """Not even when its first task is long done and another version runs."""
    scene_id, _ = await scene_of(office)
    trigger = office.trigger(scene_id, 11)
    await office.fire(trigger)
    await office.fire(trigger)
    (task,) = await office.all_tasks()
    await office.complete(task)
    await office.launched(scene(), scene_id)
    await office.fire(trigger)
    assert await office.all_tasks() == [await office.desk.tasks.known(task.task_id)]


async def test_a_window_has_one_opportunity_of_a_customer(office: Office) -> None:
    """Another trigger in the same window makes nothing; one in the next window does."""
    scene_id, scene_version = await scene_of(office)
    now = office.clock.now()
    await office.fire(office.trigger(scene_id, 11, now))
    (task,) = await office.open_tasks()
    await office.complete(task)
    await office.fire(office.trigger(scene_id, 11, now))
    assert len(await office.made(scene_version)) == 1
    await office.fire(office.trigger(scene_id, 11, now + timedelta(days=30)))
    assert len(await office.made(scene_version)) == 2
    assert len(await office.open_tasks()) == 1


async def test_x11_a_held_out_customer_gets_nothing(office: Office) -> None:
    """His opportunity is counted, and that is all."""
    scene_id, scene_version = await scene_of(office, holdout_bp=5_000, holdout_salt="golden")
    for customer_id in range(1, 41):
        await office.fire(office.trigger(scene_id, customer_id))
    made = await office.made(scene_version)
    held_out = {one.customer_id for one in made if one.arm == action_pb2.ARM_HOLDOUT}
    states = {one.state for one in made if one.customer_id in held_out}
    assert states == {action_pb2.OPPORTUNITY_STATE_HELD_OUT}
    assert 0 < len(held_out) < 40
    tasked = {task.customer_id for task in await office.all_tasks()}
    assert tasked == set(range(1, 41)) - held_out


async def test_who_refuses_or_has_no_owner_gets_no_task(office: Office) -> None:
    """The reason stands with the opportunity."""
    scene_id, scene_version = await scene_of(office)
    office.world.opted_out_ids.add(11)
    office.world.unowned.add(12)
    for customer_id in (11, 12):
        await office.fire(office.trigger(scene_id, customer_id))
    reasons = [one.suppress_reason for one in await office.made(scene_version)]
    assert reasons == [
        action_pb2.SUPPRESS_REASON_OPTED_OUT,
        action_pb2.SUPPRESS_REASON_NO_OWNER,
    ]
    assert await office.all_tasks() == []


async def test_one_open_task_of_an_objective_across_scenes(office: Office) -> None:
    """Another scene with the same objective leaves him alone; another objective does not."""
    first, _ = await scene_of(office)
    second, second_version = await scene_of(office)
    third, _ = await scene_of(office, objective="loan.drawdown")
    for scene_id in (first, second, third):
        await office.fire(office.trigger(scene_id, 11))
    (suppressed,) = await office.made(second_version)
    assert suppressed.suppress_reason == action_pb2.SUPPRESS_REASON_SAME_OBJECTIVE
    objectives = [task.objective for task in await office.open_tasks()]
    assert objectives == ["inflow.retain", "loan.drawdown"]


async def test_a_paused_scene_suppresses(office: Office) -> None:
    """What happens while it is paused is counted, and is not made up for afterwards."""
    scene_id, scene_version = await scene_of(office)
    await office.pause(scene_id)
    await office.fire(office.trigger(scene_id, 11))
    await office.resume(scene_id)
    (made,) = await office.made(scene_version)
    assert made.suppress_reason == action_pb2.SUPPRESS_REASON_SCENE_NOT_RUNNING
    assert await office.all_tasks() == []


async def test_a_scene_that_was_never_launched_takes_nothing(office: Office) -> None:
    """There is no version that an opportunity could be of."""
    approved = await office.approved(scene())
    await office.fire(office.trigger(approved.definition.definition_id, 11))
    assert await office.made(approved.scene_version) == []


async def test_tasks_go_to_head_offices_pool_where_owners_may_not(office: Office) -> None:
    """A customer of a manager goes to the pool when agents alone may do the node."""
    node = action_pb2.Node(name="call", actors=[AGENT_KIND])
    pool = action_pb2.Pool(owner_kind=AGENT_KIND, owner_id=AGENT)
    scene_id, _ = await scene_of(office, nodes=[node], pool=pool)
    office.world.owned[12] = owner(12, 901, kind=AGENT_KIND, branch_id=0)
    for customer_id in (11, 12):
        await office.fire(office.trigger(scene_id, customer_id))
    assert [task.owner.owner_id for task in await office.open_tasks()] == [AGENT, 901]


@pytest.mark.parametrize("stage", ["assigned", "in progress"])
async def test_x10_a_reversal_cancels_the_open_task(office: Office, stage: str) -> None:
    """Whether somebody has begun it or not; the opportunity says why."""
    scene_id, scene_version = await scene_of(office)
    trigger = office.trigger(scene_id, 11)
    await office.fire(trigger)
    (task,) = await office.open_tasks()
    if stage == "in progress":
        await office.start(task)
    await office.reverse(trigger)
    (cancelled,) = await office.all_tasks()
    (made,) = await office.made(scene_version)
    assert (cancelled.state, made.state) == (action_pb2.TASK_STATE_CANCELLED, REVERSED)
    assert (await office.told(action_pb2.TaskChanged))[-1].task.etag == cancelled.etag
    assert (await office.told(action_pb2.OpportunityChanged))[-1].opportunity.state == REVERSED


@pytest.mark.parametrize(
    "outcome",
    [
        action_pb2.OUTCOME_INTERESTED,
        action_pb2.OUTCOME_NO_INTENT,
        action_pb2.OUTCOME_UNREACHABLE,
    ],
)
async def test_x10_a_reversal_after_the_end_leaves_the_work_done(
    office: Office, outcome: action_pb2.Outcome.ValueType
) -> None:
    """The finished task stays as it is; the opportunity is worth nothing."""
    scene_id, scene_version = await scene_of(office)
    trigger = office.trigger(scene_id, 11)
    await office.fire(trigger)
    (task,) = await office.open_tasks()
    done = await office.complete(task, outcome)
    await office.reverse(trigger)
    (stays,) = await office.all_tasks()
    (made,) = await office.made(scene_version)
    assert (stays.etag, made.state) == (done.etag, REVERSED)


async def test_x10_a_reversal_cancels_the_task_of_a_later_node(office: Office) -> None:
    """Whichever node the scene is at."""
    made = await office.launched(scene(nodes=2))
    trigger = office.trigger(made.definition.definition_id, 11)
    await office.fire(trigger)
    (first,) = await office.open_tasks()
    await office.complete(first)
    await office.reverse(trigger)
    states = [task.state for task in await office.all_tasks()]
    assert states == [action_pb2.TASK_STATE_SUCCESS, action_pb2.TASK_STATE_CANCELLED]


@pytest.mark.parametrize("what", ["held out", "suppressed"])
async def test_x10_a_reversal_reaches_opportunities_without_a_task(
    office: Office, what: str
) -> None:
    """Both sides of the comparison lose the same customers."""
    scene_id, scene_version = await scene_of(office, holdout_bp=1_000, holdout_salt="golden")
    customer_id = 23 if what == "held out" else 1  # drawn by the salt, and not
    office.world.opted_out_ids.add(1)
    trigger = office.trigger(scene_id, customer_id)
    await office.fire(trigger)
    await office.reverse(trigger)
    await office.reverse(trigger)
    (made,) = await office.made(scene_version)
    assert made.state == REVERSED
    assert len(await office.told(action_pb2.OpportunityChanged)) == 2


async def test_x10_a_reversal_that_comes_first_keeps_the_task_from_being_made(
    office: Office,
) -> None:
    """As when the trigger was a dead letter, and is tried again after it was taken back."""
    scene_id, scene_version = await scene_of(office)
    trigger = office.trigger(scene_id, 11)
    await office.reverse(trigger)
    await office.reverse(trigger)
    await office.fire(trigger)
    (made,) = await office.made(scene_version)
    assert (made.state, made.arm) == (REVERSED, action_pb2.ARM_TREATED)
    assert await office.all_tasks() == []


async def test_a_reversal_of_an_unknown_trigger_changes_nothing(office: Office) -> None:
    """A trigger in a window that had one made no opportunity of its own."""
    scene_id, scene_version = await scene_of(office)
    first, second = office.trigger(scene_id, 11), office.trigger(scene_id, 11)
    await office.fire(first)
    await office.fire(second)
    await office.reverse(second)
    (made,) = await office.made(scene_version)
    assert made.state == TASKED
    assert len(await office.open_tasks()) == 1


async def test_other_events_are_passed_over(office: Office) -> None:
    """The topic may carry more than triggers."""
    told = event(decision_pb2.Model(name="another"), topic="decision")
    assert await office.materializer.react(told) is None
    nowhere = decision_pb2.TriggerFired(trigger=office.trigger(0, 11))
    assert await office.materializer.react(event(nowhere)) is None
