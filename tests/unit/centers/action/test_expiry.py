"""What nobody acted on in time expires."""

from __future__ import annotations

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
    assert [one.state for one in await office.made(made.scene_version)] == [
        EXPIRED,
        EXPIRED,
        action_pb2.OPPORTUNITY_STATE_TASKED,
    ]
    told = (await office.told(action_pb2.OpportunityChanged))[-2:]
    assert [one.opportunity.state for one in told] == [EXPIRED, EXPIRED]
    assert second.is_open


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
