"""Exactly one owner at every instant."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centers.action.domain import OwnerInterval, Task, TaskOwner
from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from mesh.errors import MeshError
from tests.unit.centers.action.office import (
    AGENT,
    AGENT_KIND,
    BRANCH,
    MANAGER_KIND,
    OTHER_BRANCH,
    OTHER_RM,
    RM,
    ROBOT,
    ROBOT_KIND,
    Office,
    scene,
)

DESKS = [
    TaskOwner(kind=MANAGER_KIND, owner_id=RM, branch_id=BRANCH),
    TaskOwner(kind=MANAGER_KIND, owner_id=OTHER_RM, branch_id=BRANCH),
    TaskOwner(kind=AGENT_KIND, owner_id=AGENT, branch_id=0),
    TaskOwner(kind=ROBOT_KIND, owner_id=ROBOT, branch_id=0),
]

MOVES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(DESKS), min_size=1, max_size=4),
        st.sampled_from([-5.0, 0.0, 0.0, 0.000001, 60.0]),
    ),
    max_size=8,
)
"""Rounds of reassignments asked for at once, each round after some time; clocks step back."""


@pytest.fixture
async def scene_id(office: Office) -> int:
    return (await office.launched()).definition.definition_id


def check(intervals: Sequence[OwnerInterval], task: Task) -> None:
    """Gap-free, overlap-free, none empty, one open: the present owner's."""
    assert intervals[0].start_time == task.create_time
    assert [one for one in intervals if one.end_time is None] == [intervals[-1]]
    assert intervals[-1].owner == task.owner
    for before, after in pairwise(intervals):
        assert before.start_time < after.start_time == before.end_time
        assert before.owner != after.owner


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES)
async def test_x2_a_task_has_one_owner_at_every_instant(
    office: Office, scene_id: int, moves: list[tuple[list[TaskOwner], float]]
) -> None:
    """Whatever is reassigned, in whatever order and at once: of those at once one is done."""
    customer_id = next(office.triggers) + 1_000
    task = await office.task_for(scene_id, customer_id)
    done = 1
    for desks, seconds in moves:
        office.clock.advance(seconds)
        before = (await office.desk.tasks.known(task.task_id)).owner
        asked = [office.give(task.task_id, desk) for desk in desks]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, BaseException)]
        assert all(isinstance(one, MeshError) for one in refused)
        present = await office.desk.tasks.known(task.task_id)
        done += present.owner != before
        check(await office.desk.owners.of(task.task_id), present)
    assert len(await office.desk.owners.of(task.task_id)) == done


async def test_of_two_who_reassign_at_once_one_is_refused(office: Office, scene_id: int) -> None:
    """Both have seen the same task; the second would decide on one that is elsewhere by then."""
    task = await office.task_for(scene_id, 11)
    both = [office.give(task.task_id, desk) for desk in DESKS[1:3]]
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(first, action_pb2.Task)
    assert isinstance(second, MeshError)
    assert second.reason is ActionReason.TASK_ETAG_MISMATCH


async def test_a_new_owner_begins_anew(office: Office, scene_id: int) -> None:
    """A task that was begun, or held by a robot, is on the new desk as nobody's work yet."""
    task = await office.task_for(scene_id, 11)
    await office.start(task)
    given_ = await office.give(task.task_id, DESKS[1], "LEAVE")
    assert given_.state == action_pb2.TASK_STATE_ASSIGNED
    (_, held) = await office.desk.owners.of(task.task_id)
    assert (held.owner, held.reason) == (DESKS[1], "LEAVE")
    assert (await office.told(action_pb2.TaskChanged))[-1].task == given_


@pytest.mark.parametrize(
    "desk",
    [
        TaskOwner(kind=MANAGER_KIND, owner_id=77, branch_id=OTHER_BRANCH),
        TaskOwner(kind=MANAGER_KIND, owner_id=77, branch_id=0),
        TaskOwner(kind=AGENT_KIND, owner_id=AGENT, branch_id=BRANCH),
    ],
    ids=["another branch", "a manager without a branch", "an agent in a branch"],
)
async def test_a_branch_gives_tasks_to_its_own_and_to_head_office(
    office: Office, scene_id: int, desk: TaskOwner
) -> None:
    """Nobody else may get one."""
    task = await office.task_for(scene_id, 11)
    with pytest.raises(MeshError) as refused:
        await office.give(task.task_id, desk)
    assert refused.value.reason is ActionReason.OWNER_NOT_ALLOWED
    assert await office.open_tasks() == [task]


async def test_a_task_is_not_given_to_whom_its_node_does_not_allow(office: Office) -> None:
    """The scene says who may do it."""
    node = action_pb2.Node(name="visit", actors=[MANAGER_KIND])
    made = await office.launched(scene(nodes=[node]))
    task = await office.task_for(made.definition.definition_id, 11)
    with pytest.raises(MeshError) as refused:
        await office.give(task.task_id, DESKS[2])
    assert refused.value.reason is ActionReason.OWNER_NOT_ALLOWED


async def test_a_closed_task_stays_where_it_ended(office: Office, scene_id: int) -> None:
    """Credit for it goes by who did it."""
    task = await office.task_for(scene_id, 11)
    await office.complete(task)
    with pytest.raises(MeshError) as refused:
        await office.give(task.task_id, DESKS[1])
    assert refused.value.reason is ActionReason.TASK_CLOSED


async def test_a7_all_tasks_of_who_leaves_move_without_an_orphan(
    office: Office, scene_id: int
) -> None:
    """148 open tasks go to a colleague; before and after each has one owner, history stays."""
    await office.fire_on(scene_id, range(1, 149))
    tasks = await office.open_tasks()
    office.later(hours=1)
    moved = office.clock.now()
    await asyncio.gather(*(office.give(task.task_id, DESKS[1]) for task in tasks))
    for task in tasks:
        before, after = await office.desk.owners.of(task.task_id)
        assert (before.owner.owner_id, after.owner.owner_id) == (RM, OTHER_RM)
        assert before.end_time == after.start_time == moved


async def test_the_reason_of_a_move_names_nobody(office: Office, scene_id: int) -> None:
    """It stands in the task's history for good."""
    task = await office.task_for(scene_id, 1)
    with pytest.raises(MeshError) as refused:
        await office.give(task.task_id, DESKS[1], reason="call 138-0000-1234 instead")
    assert refused.value.reason is ActionReason.REASON_NOT_A_CODE
    (stays,) = await office.open_tasks()
    assert stays.etag == task.etag
