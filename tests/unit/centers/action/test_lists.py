"""Lists of tasks and opportunities come in pages, each along an index."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from centers.action.domain import Task
from engine.action.v1 import action_pb2
from mesh.errors import MeshError, MeshReason
from mesh.paging import PageRequest
from tests.unit.centers.action.office import OTHER_RM, RM, Office, owner, scene

OPEN = action_pb2.TASK_STATE_UNSPECIFIED


async def listed(office: Office, owner_id: int = RM, size: int = 1_000, **which: Any) -> list[Task]:
    """All pages of a list."""
    given: dict[str, Any] = {"state": OPEN, "scene_id": 0} | which
    found: list[Task] = []
    token = ""
    while True:
        request = PageRequest(listing="tasks", size=size, token=token)
        page = await office.tasks.page(request, owner_id, **given)
        found.extend(page.entries)
        token = page.next_token
        if not token:
            return found


async def test_two_thousand_tasks_come_in_order_and_once(office: Office) -> None:
    """Those due first at the head; tasks due at one instant are told apart by their id."""
    made = await office.launched()
    for first in range(1, 2_001, 80):
        await office.fire_on(made.definition.definition_id, range(first, first + 80))
        office.later(seconds=1)
    for size in (300, 1_000):
        found = await listed(office, size=size)
        assert len(found) == 2_000
        places = [(task.due_time, task.task_id) for task in found]
        assert places == sorted(set(places))


async def test_an_owner_sees_his_own_open_tasks(office: Office) -> None:
    """Not those of others, nor those that are done, unless he asks for these."""
    first = await office.launched()
    second = await office.launched(scene(objective="loan.drawdown"))
    office.world.owned[3] = owner(3, OTHER_RM)
    for customer_id in (1, 2, 3):
        await office.fire(office.trigger(first.definition.definition_id, customer_id))
    await office.fire(office.trigger(second.definition.definition_id, 1))
    one, two, three, four = await office.open_tasks()
    await office.start(two)
    await office.complete(one, action_pb2.OUTCOME_NO_INTENT)
    numbers = [task.task_id for task in await listed(office)]
    assert numbers == [two.task_id, four.task_id]
    closed = await listed(office, state=action_pb2.TASK_STATE_NO_INTENT)
    assert [task.task_id for task in closed] == [one.task_id]
    begun = await listed(office, state=action_pb2.TASK_STATE_IN_PROGRESS)
    assert [task.task_id for task in begun] == [two.task_id]
    of_scene = await listed(office, scene_id=second.definition.definition_id)
    assert [task.task_id for task in of_scene] == [four.task_id]
    assert [task.task_id for task in await listed(office, OTHER_RM)] == [three.task_id]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("where", "index"),
    [
        ("owner_id = 7 AND is_open = 1 ORDER BY due_us, task_id", "task_owner_open"),
        ("owner_id = 7 AND state = 3 ORDER BY due_us, task_id", "task_owner_state"),
        ("open_expire_us <= 5 ORDER BY open_expire_us", "task_expiry"),
        ("scene_id = 5 AND is_open = 1 AND scene_version = 6", "task_scene"),
        ("scene_id = 5 AND is_open = 1", "task_scene"),
        ("opportunity_id = 5 AND is_open = 1", "task_opportunity"),
        ("customer_id = 5 AND open_objective = 'x'", "task_objective"),
    ],
)
async def test_tasks_are_found_along_an_index(office: Office, where: str, index: str) -> None:
    """The one that is made for it, and nothing is left to be sorted."""
    explained = sa.text(f"EXPLAIN QUERY PLAN SELECT * FROM task WHERE {where}")
    plan = [row[3] for row in await office.store.fetch_all(explained)]
    assert len(plan) == 1
    assert f"USING INDEX {index} " in plan[0]


async def test_opportunities_are_listed_newest_first_by_state(office: Office) -> None:
    """Suppressed ones too; a token serves no other list."""
    made = await office.launched()
    office.world.opted_out_ids |= {2, 4}
    for customer_id in range(1, 6):
        await office.fire(office.trigger(made.definition.definition_id, customer_id))
    every = action_pb2.OPPORTUNITY_STATE_UNSPECIFIED
    suppressed = action_pb2.OPPORTUNITY_STATE_SUPPRESSED
    first = PageRequest(listing="all", size=3, token="")
    page = await office.opportunities.page(first, made.scene_version, every)
    rest = PageRequest(listing="all", size=3, token=page.next_token)
    more = await office.opportunities.page(rest, made.scene_version, every)
    assert [one.customer_id for one in (*page.entries, *more.entries)] == [5, 4, 3, 2, 1]
    quiet = await office.opportunities.page(first, made.scene_version, suppressed)
    assert [one.customer_id for one in quiet.entries] == [4, 2]
    other = PageRequest(listing="others", size=3, token=page.next_token)
    with pytest.raises(MeshError) as refused:
        await office.opportunities.page(other, made.scene_version, every)
    assert refused.value.reason is MeshReason.PAGE_TOKEN_INVALID
