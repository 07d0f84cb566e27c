"""Scenes that run: versions follow one another, stop, end and go back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centers.action.domain import Task
from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from engine.decision.v1 import decision_pb2
from engine.mesh.v1.bus_pb2 import AppendRequest
from mesh.definitions import DefinitionReason
from mesh.errors import MeshError, Reason
from mesh.events import Consumer, LocalBus, Subscription, event
from mesh.storage import Transaction
from tests.unit.centers.action.office import Office, scene

RUNNING = action_pb2.SCENE_STATUS_RUNNING
PAUSED = action_pb2.SCENE_STATUS_PAUSED
SUPERSEDED = action_pb2.SCENE_STATUS_SUPERSEDED
ENDED = action_pb2.SCENE_STATUS_ENDED
RECALLED = action_pb2.TASK_STATE_RECALLED


async def refused(call: Any) -> Reason:
    with pytest.raises(MeshError) as failed:
        await call
    return failed.value.reason


async def status(office: Office, scene_version: int) -> int:
    run = await office.runs.get(scene_version)
    assert run is not None
    return run.status


async def test_a6_versions_and_going_back(office: Office) -> None:
    """400 open tasks stay on version 1, new ones are made by 2; going back takes one call."""
    first = await office.launched()
    scene_id = first.definition.definition_id
    await office.fire_on(scene_id, range(1, 401))
    second = await office.launched(scene(name="Edited", nodes=2), scene_id)
    await office.fire_on(scene_id, range(401, 451))
    by_version = Counter(task.scene_version for task in await office.open_tasks())
    assert by_version == {first.scene_version: 400, second.scene_version: 50}
    assert await status(office, first.scene_version) == SUPERSEDED
    assert len(await office.made(first.scene_version)) == 400

    told_before = len(await office.told(action_pb2.TaskChanged))
    back = await office.roll_back(scene_id)
    assert (back.recalled, back.scene.scene_version) == (50, first.scene_version)
    assert await status(office, first.scene_version) == RUNNING
    assert await status(office, second.scene_version) == SUPERSEDED
    told = (await office.told(action_pb2.TaskChanged))[told_before:]
    assert {(one.task.state, one.task.chain.scene_version) for one in told} == {
        (RECALLED, second.scene_version)
    }
    assert len(told) == 50
    assert len(await office.open_tasks()) == 400
    await office.fire(office.trigger(scene_id, 500))
    assert (await office.open_tasks(500))[0].scene_version == first.scene_version


async def test_recalled_tasks_are_stored_as_they_are_told(office: Office) -> None:
    """The one statement over all of them changes what each event says."""
    made = await office.launched()
    scene_id = made.definition.definition_id
    await office.fire_on(scene_id, range(1, 1_201))  # more than one statement recalls
    office.later(minutes=5)
    before = len(await office.told(action_pb2.TaskChanged))
    await office.end(scene_id)
    told = {one.task.task_id: one.task for one in await office.told(action_pb2.TaskChanged)}
    stored = await office.all_tasks()
    assert len(await office.told(action_pb2.TaskChanged)) == before + 1_200
    assert {task.task_id: task.etag for task in stored} == {
        task_id: task.etag for task_id, task in told.items()
    }
    assert {task.state for task in stored} == {RECALLED}
    assert {task.update_time for task in stored} == {office.clock.now()}


async def test_others_have_their_turn_while_many_tasks_are_recalled(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scene may have a hundred thousand: the centre answers others meanwhile."""
    scene_id = (await office.launched()).definition.definition_id
    await office.fire_on(scene_id, range(1, 1_001))
    turns, at, close = 0, [], office.desk.tasks.close

    async def ticking() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def closing(tx: Transaction, closed: Sequence[Task]) -> None:
        at.append(turns)
        await close(tx, closed)

    monkeypatch.setattr(office.desk.tasks, "close", closing)
    ticker = asyncio.create_task(ticking())
    await office.end(scene_id)
    ticker.cancel()
    assert len(set(at)) == len(at) == 4


async def test_going_back_follows_what_ran_before(office: Office) -> None:
    """Twice back from version 3 is version 1, and a fourth version goes back to that."""
    first = await office.launched()
    scene_id = first.definition.definition_id
    await office.launched(scene(), scene_id)
    await office.launched(scene(), scene_id)
    versions = [(await office.roll_back(scene_id)).scene.definition.version for _ in range(2)]
    assert versions == [2, 1]
    assert await refused(office.roll_back(scene_id)) is ActionReason.NO_EARLIER_VERSION
    await office.launched(scene(), scene_id)
    assert (await office.roll_back(scene_id)).scene.definition.version == 1


async def test_going_back_to_a_version_by_number(office: Office) -> None:
    """Only to one that ran and is earlier."""
    first = await office.launched()
    scene_id = first.definition.definition_id
    await office.launched(scene(), scene_id)
    await office.launched(scene(), scene_id)
    for version in (3, 4):
        call = office.roll_back(scene_id, version)
        assert await refused(call) is ActionReason.NO_EARLIER_VERSION
    assert (await office.roll_back(scene_id, 1)).scene.definition.version == 1


async def test_a_customer_is_free_again_after_a_recall(office: Office) -> None:
    """A recalled task does not stand against one of another scene with the same objective."""
    made = await office.launched()
    await office.fire(office.trigger(made.definition.definition_id, 11))
    await office.end(made.definition.definition_id)
    other = await office.launched()
    await office.fire(office.trigger(other.definition.definition_id, 11))
    (task,) = await office.open_tasks(11)
    assert task.scene_version == other.scene_version


async def test_an_ended_scene_stays_ended(office: Office) -> None:
    """Tasks of all its versions are recalled, and no step leads out of it."""
    first = await office.launched()
    scene_id = first.definition.definition_id
    await office.fire(office.trigger(scene_id, 1))
    await office.launched(scene(), scene_id)
    await office.fire(office.trigger(scene_id, 2))
    ended = await office.end(scene_id)
    assert ended.status == ENDED
    assert await office.open_tasks() == []
    await office.fire(office.trigger(scene_id, 3))
    assert await office.open_tasks() == []
    for call in (
        office.launch(scene_id),
        office.pause(scene_id),
        office.resume(scene_id),
        office.end(scene_id),
        office.roll_back(scene_id),
        office.drafted(scene(), scene_id),
    ):
        assert await refused(call) is ActionReason.SCENE_ENDED


async def test_only_what_is_approved_is_launched(office: Office) -> None:
    """And only what runs is paused, ended or rolled back."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id
    calls = (office.launch, office.pause, office.resume, office.end, office.roll_back)
    for call in calls:
        assert await refused(call(scene_id)) is ActionReason.SCENE_STATUS_WRONG
    assert await refused(office.pause(404)) is DefinitionReason.DEFINITION_NOT_FOUND


async def test_a_version_that_a_newer_one_overtook_is_not_launched(office: Office) -> None:
    """It was approved against what ran then."""
    first = await office.launched()
    scene_id = first.definition.definition_id
    await office.approved(scene(name="Overtaken"), scene_id)
    await office.launched(scene(name="Newer"), scene_id)
    assert await refused(office.launch(scene_id)) is ActionReason.SCENE_STATUS_WRONG


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
)
async def test_x14_no_task_is_made_once_pausing_has_returned(
    office: Office, bursts: list[int], turns: list[int]
) -> None:
    """Triggers keep arriving through the real consumer; pauses fall anywhere among them."""
    made = await office.launched()
    scene_id = made.definition.definition_id
    bus = LocalBus("decision")
    office.fired = 0
    reaction = Subscription(
        group="opportunities", topic="decision", react=office.materializer.react, transaction=5
    )
    async with Consumer(office.store, bus.of("action"), reaction):
        for burst, turn in zip(bursts, turns, strict=False):
            await _burst(office, bus, scene_id, burst)
            for _ in range(turn):
                await office.turn()
            await office.pause(scene_id)
            paused = await _tasks_of(office, made.scene_version)
            await _burst(office, bus, scene_id, burst)
            await _all_consumed(office, made.scene_version)
            assert await _tasks_of(office, made.scene_version) == paused
            await office.resume(scene_id)


async def _burst(office: Office, bus: LocalBus, scene_id: int, count: int) -> None:
    triggers = [office.trigger(scene_id, next(office.triggers) + 10_000) for _ in range(count)]
    events = [
        event(decision_pb2.TriggerFired(trigger=trigger), key=trigger.customer_id)
        for trigger in triggers
    ]
    office.fired += count
    await bus.append(AppendRequest(events=events))


async def _all_consumed(office: Office, scene_version: int) -> None:
    while len(await office.made(scene_version)) < office.fired:
        await office.turn()


async def _tasks_of(office: Office, scene_version: int) -> int:
    tasks = await office.all_tasks()
    return sum(task.scene_version == scene_version for task in tasks)
