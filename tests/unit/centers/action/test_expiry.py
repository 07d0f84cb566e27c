"""What nobody acted on in time expires."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from engine.action.v1 import action_pb2
from tests.unit.centers.action.office import Office, scene

EXPIRED = action_pb2.OPPORTUNITY_STATE_EXPIRED


async def test_open_tasks_end_with_their_opportunity(office: Office) -> None:
    """At its end and not before, begun or not; what is done stays done."""
    made = await office.launched(scene(opportunity_ttl=Duration(seconds=86_400)))
    scene_id = made.definition.definition_id
    for customer_id in (1, 2, 3):
        await office.fire(office.trigger(scene_id, customer_id))
    first, second, third = await office.open_tasks()
    await office.start(first)
    await office.complete(third, action_pb2.OUTCOME_UNREACHABLE)
    office.later(hours=23, minutes=59)
    assert await office.expiry.expire() == 0
    office.later(minutes=1)
    assert await office.expiry.expire() == 2
    assert await office.expiry.expire() == 0
    states = [task.state for task in await office.all_tasks()]
    expired = action_pb2.TASK_STATE_EXPIRED
    assert states == [expired, expired, action_pb2.TASK_STATE_UNREACHABLE]
    assert [one.state for one in await office.made(made.scene_version)] == [EXPIRED] * 3
    told = (await office.told(action_pb2.OpportunityChanged))[-3:]
    assert [one.opportunity.state for one in told] == [EXPIRED] * 3
    assert second.is_open


async def test_what_has_no_open_task_expires_too(office: Office) -> None:
    """Whoever could not be reached, or whose task was recalled, is not worth acting on for ever."""
    made = await office.launched()
    scene_id = made.definition.definition_id
    unreachable = await office.task_for(scene_id, 1)
    await office.complete(unreachable, action_pb2.OUTCOME_UNREACHABLE)
    lost = await office.task_for(scene_id, 2)
    await office.complete(lost, action_pb2.OUTCOME_NO_INTENT)
    await office.task_for(scene_id, 3)
    await office.end(scene_id)
    office.later(days=6)
    await office.expiry.expire()
    kept = [one.state for one in await office.made(made.scene_version)]
    tasked, lost_state = action_pb2.OPPORTUNITY_STATE_TASKED, action_pb2.OPPORTUNITY_STATE_LOST
    assert kept == [tasked, lost_state, tasked]
    office.later(days=1)
    assert await office.expiry.expire() == 0
    kept = [one.state for one in await office.made(made.scene_version)]
    assert kept == [EXPIRED, lost_state, EXPIRED]


async def test_many_expire_in_batches(office: Office) -> None:
    """More than one transaction's worth, all at one call."""
    made = await office.launched()
    await office.fire_on(made.definition.definition_id, range(1, 1_101))
    office.later(days=7)
    assert await office.expiry.expire() == 1_100
    assert await office.open_tasks() == []


async def test_the_background_expires_by_itself(office: Office) -> None:
    """Entered, it looks at once."""
    made = await office.launched()
    await office.fire(office.trigger(made.definition.definition_id, 1))
    office.later(days=8)
    async with office.expiry:
        while await office.open_tasks():
            await office.turn()


async def test_the_background_outlives_what_nobody_foresaw(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing of the process would expire any more, and nobody would see why."""
    made = await office.launched()
    await office.fire(office.trigger(made.definition.definition_id, 1))
    office.later(days=8)
    monkeypatch.setattr("centers.action.expiry.EVERY_S", 0.001)
    failures, expire = iter([LookupError(), RuntimeError()]), office.expiry.expire

    async def failing() -> int:
        for failure in failures:
            raise failure
        return await expire()

    monkeypatch.setattr(office.expiry, "expire", failing)
    async with office.expiry:
        while await office.open_tasks():
            await office.turn()
