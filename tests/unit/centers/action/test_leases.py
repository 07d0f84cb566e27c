"""Robots of one pool share its tasks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from centers.action.domain import Task, TaskOwner, Worker
from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from mesh.errors import MeshError
from tests.unit.centers.action.office import (
    BRANCH,
    MANAGER_KIND,
    RM,
    ROBOT,
    ROBOT_KIND,
    Office,
    owner,
)

FIRST, SECOND = "bot001", "bot002"


@pytest.fixture
async def pool(office: Office) -> list[Task]:
    """Five tasks of the robots' pool, and one of a manager."""
    made = await office.launched()
    for customer_id in range(1, 7):
        if customer_id < 6:
            office.world.owned[customer_id] = owner(
                customer_id, ROBOT, kind=ROBOT_KIND, branch_id=0
            )
        await office.fire(office.trigger(made.definition.definition_id, customer_id))
        office.later(seconds=1)
    return [task for task in await office.open_tasks() if task.owner.owner_id == ROBOT]


async def lent(office: Office, robot: str, most: int = 0, **time: float) -> list[int]:
    answer = await office.leases.take(
        ROBOT,
        robot,
        count=most,
        time=timedelta(**time),
        respond=lambda tasks: action_pb2.LeaseTasksResponse(
            tasks=[action_pb2.Task(task_id=task.task_id) for task in tasks]
        ),
    )
    return [task.task_id for task in answer.tasks]


async def test_two_robots_get_different_tasks(office: Office, pool: list[Task]) -> None:
    """Whoever asks at once; those due first go first, and the manager's stays his."""
    both = await asyncio.gather(lent(office, FIRST, 3), lent(office, SECOND, 3))
    numbers = [task.task_id for task in pool]
    assert list(both) == [numbers[:3], numbers[3:]]
    assert await lent(office, FIRST) == []


async def test_a_lease_that_ran_out_goes_to_the_next(office: Office, pool: list[Task]) -> None:
    """And not before."""
    first = await lent(office, FIRST, minutes=2)
    office.later(minutes=1, seconds=59)
    assert await lent(office, SECOND) == []
    office.later(seconds=1)
    assert await lent(office, SECOND) == first
    assert len(first) == len(pool)


async def test_only_its_holder_works_on_a_leased_task(office: Office, pool: list[Task]) -> None:
    """Until the lease runs out."""
    await lent(office, FIRST)
    task = pool[0]
    other = Worker(actor=SECOND, staff_id=ROBOT)
    with pytest.raises(MeshError) as started:
        await office.start(task, SECOND)
    with pytest.raises(MeshError) as completed:
        await office.complete(task, worker=other)
    assert {started.value.reason, completed.value.reason} == {ActionReason.LEASE_HELD}
    await office.start(task, FIRST)
    office.later(minutes=1)
    done = await office.complete(task, worker=other)
    assert not done.HasField("lease_expire_time")


async def test_a_lease_is_told_with_its_end(office: Office, pool: list[Task]) -> None:
    """The task shows until when it is held; its owner stays the pool."""
    await lent(office, FIRST, 1, minutes=3)
    told = (await office.told(action_pb2.TaskChanged))[-1].task
    expires = told.lease_expire_time.ToDatetime(tzinfo=office.clock.now().tzinfo)
    assert (told.task_id, told.owner_id) == (pool[0].task_id, ROBOT)
    assert expires == office.clock.now() + timedelta(minutes=3)
    assert len(await office.desk.owners.of(told.task_id)) == 1


async def test_giving_a_task_away_ends_its_lease(office: Office, pool: list[Task]) -> None:
    """The new owner does not wait for a robot."""
    await lent(office, FIRST)
    manager = TaskOwner(kind=MANAGER_KIND, owner_id=RM, branch_id=BRANCH)
    given = await office.give(pool[0].task_id, manager)
    assert not given.HasField("lease_expire_time")
    (moved, *_) = await office.open_tasks(pool[0].customer_id)
    assert (await office.start(moved)).state == action_pb2.TASK_STATE_IN_PROGRESS
