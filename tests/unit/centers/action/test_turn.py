"""A scene stops and goes on with the contacts of every version that ran."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from engine.action.v1 import action_pb2
from mesh.storage import IdempotentCall, Replayed, idempotent_call
from tests.unit.centers.action.office import MAKER, Office, scene

RUNNING = action_pb2.SCENE_STATUS_RUNNING
PAUSED = action_pb2.SCENE_STATUS_PAUSED
ENDED = action_pb2.SCENE_STATUS_ENDED


def holds(office: Office) -> list[tuple[set[int], bool]]:
    """What the reach centre was told to stop or to let go, and that it was told in order."""
    turns = office.world.turns
    assert sorted({turn.time for turn in turns}) == [turn.time for turn in turns]
    return [({turn.scene_version, *turn.scene_versions}, turn.held) for turn in turns]


async def events_of_turns(office: Office) -> list[tuple[set[int], bool, datetime]]:
    """What the events told of contacts, and when they say it happened."""
    told = []
    for one in await office.events(action_pb2.SceneChanged):
        said = action_pb2.SceneChanged.FromString(one.payload)
        if said.status in {RUNNING, PAUSED, ENDED}:
            versions = {said.scene_version, *said.scene_versions}
            told.append((versions, said.status != RUNNING, one.time.ToDatetime(tzinfo=UTC)))
    return told


@contextmanager
def repeated_as(request_id: str) -> Iterator[None]:
    """A block in which every call carries the same request id, as if each arrived anew."""
    call = IdempotentCall(
        caller=MAKER, method="/action/Stop", request_id=request_id, request_hash=b"same"
    )
    token = idempotent_call.set(call)
    try:
        yield
    finally:
        idempotent_call.reset(token)


async def test_pausing_holds_contacts_and_resuming_lets_them_go(office: Office) -> None:
    """Before the call returns; a second pause holds once more."""
    made = await office.launched()
    scene_id, version = made.definition.definition_id, made.scene_version
    assert (await office.pause(scene_id)).status == PAUSED
    assert (await office.pause(scene_id)).status == PAUSED
    assert (await office.resume(scene_id)).status == RUNNING
    assert holds(office) == [({version}, True), ({version}, True), ({version}, False)]


async def test_x14_a_scene_stops_with_all_versions_that_ever_ran(office: Office) -> None:
    """Superseded ones have open tasks: they stop and go on with it; a draft never ran."""
    versions = {(await office.launched()).scene_version}
    (scene_id,) = {run.scene_id for run in (await office.runs.among(versions)).values()}
    for _ in range(19):
        versions.add((await office.launched(scene(), scene_id)).scene_version)
    await office.drafted(scene(), scene_id)
    office.world.turns.clear()
    await office.pause(scene_id)
    await office.resume(scene_id)
    await office.end(scene_id)
    wanted = [(versions, True), (versions, False), (versions, True)]
    assert holds(office) == wanted
    told = (await events_of_turns(office))[-3:]
    assert told == [(*one, turn.time) for one, turn in zip(wanted, office.world.turns, strict=True)]


async def test_a_launch_lets_the_contacts_of_a_paused_version_go(office: Office) -> None:
    """Its open tasks go on beside those of the new version."""
    first = await office.launched()
    scene_id = first.definition.definition_id
    assert office.world.turns == []  # nothing waits of a scene that never ran
    await office.pause(scene_id)
    second = await office.launched(scene(), scene_id)
    both = {first.scene_version, second.scene_version}
    assert holds(office) == [({first.scene_version}, True), (both, False)]
    assert (await events_of_turns(office))[-1][:2] == (both, False)


async def test_going_back_leaves_the_contacts_of_a_paused_version_stopped(office: Office) -> None:
    """Its tasks are recalled, and take them back; all others go on."""
    versions = []
    scene_id = 0
    for _ in range(3):
        made = await office.launched(scene(), scene_id)
        scene_id = made.definition.definition_id
        versions.append(made.scene_version)
    await office.pause(scene_id)
    await office.roll_back(scene_id)
    assert holds(office)[-1] == (set(versions[:2]), False)
    assert (await events_of_turns(office))[-1][:2] == (set(versions[:2]), False)


@pytest.mark.parametrize("stop", [Office.pause, Office.end])
async def test_x14_a_repeated_call_holds_before_it_answers(
    office: Office, stop: Callable[[Office, int], Awaitable[action_pb2.Scene]]
) -> None:
    """A crash came after the commit: the reach centre has heard of nothing yet."""
    scene_id = (await office.launched()).definition.definition_id
    with repeated_as("first"):
        answer = await stop(office, scene_id)
    (before,) = office.world.turns
    office.world.turns.clear()
    office.later(minutes=1)
    with repeated_as("first"), pytest.raises(Replayed) as replayed:
        await stop(office, scene_id)
    assert action_pb2.Scene.FromString(replayed.value.response) == answer
    assert office.world.turns == [before]  # as of when it was decided


async def test_a_repeated_pause_does_not_stop_what_was_resumed(office: Office) -> None:
    """It gets its answer; the scene runs."""
    scene_id = (await office.launched()).definition.definition_id
    with repeated_as("first"):
        await office.pause(scene_id)
    await office.resume(scene_id)
    office.world.turns.clear()
    with repeated_as("first"), pytest.raises(Replayed):
        await office.pause(scene_id)
    assert office.world.turns == []


async def test_turns_are_later_than_one_another_when_the_clock_steps_back(office: Office) -> None:
    """Else the reach centre would take the second for the older one."""
    scene_id = (await office.launched()).definition.definition_id
    await office.pause(scene_id)
    office.later(minutes=-5)
    await office.resume(scene_id)
    await office.pause(scene_id)
    assert [held for _, held in holds(office)] == [True, False, True]
