"""Scenes from a draft to their approval."""

from __future__ import annotations

from typing import Any

import pytest

from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from engine.mesh.v1 import definition_pb2
from mesh.definitions import DefinitionReason
from mesh.errors import MeshError, MeshReason, Reason
from mesh.paging import PageRequest
from tests.unit.centers.action.office import CHECKER, MAKER, Office, scene


async def refused(call: Any) -> Reason:
    with pytest.raises(MeshError) as failed:
        await call
    return failed.value.reason


async def updated(office: Office, scene_id: int, said: action_pb2.Scene, etag: str = "") -> Any:
    return await office.scenes.update(scene_id, said, actor=MAKER, etag=etag, respond=_shown)


async def submitted(office: Office, scene_id: int, actor: str = MAKER) -> Any:
    return await office.scenes.submit(scene_id, actor, _shown)


async def approved(office: Office, scene_id: int, checker: str = CHECKER) -> Any:
    return await office.scenes.approve(scene_id, checker, _shown)


def _shown(made: Any) -> action_pb2.Scene:
    said: action_pb2.Scene = made.said.body
    shown = action_pb2.Scene(status=made.run.status)
    shown.MergeFrom(said)
    return shown


async def statuses(office: Office) -> list[str]:
    told = await office.told(action_pb2.SceneChanged)
    names = [action_pb2.SceneStatus.Name(one.status) for one in told]
    return [name.removeprefix("SCENE_STATUS_") for name in names]


async def test_a_scene_goes_from_draft_to_running(office: Office) -> None:
    """Every step is told, with what the other centres need of the scene."""
    made = await office.launched(scene(holdout_bp=1_000))
    assert await statuses(office) == ["SIMULATED", "REVIEW", "APPROVED", "RUNNING"]
    last = (await office.told(action_pb2.SceneChanged))[-1]
    assert (last.scene_version, last.version, last.holdout_bp) == (made.scene_version, 1, 1_000)
    assert (last.objective, last.success_metric) == ("inflow.retain", "net_external_inflow")
    assert made.definition.state == definition_pb2.DEFINITION_STATE_PUBLISHED
    assert (made.definition.author, made.definition.checker) == (MAKER, CHECKER)


async def test_a_draft_that_was_not_simulated_is_not_submitted(office: Office) -> None:
    """Nor is one that was changed since."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id
    assert await refused(submitted(office, scene_id)) is ActionReason.SCENE_NOT_SIMULATED
    await office.simulated(scene_id)
    changed = await updated(office, scene_id, scene(name="Larger inflow"))
    assert changed.status == action_pb2.SCENE_STATUS_DRAFT
    assert (await office.scenes.get(scene_id, 0)).run.simulation is None
    assert await refused(submitted(office, scene_id)) is ActionReason.SCENE_NOT_SIMULATED
    await office.simulated(scene_id)
    assert (await submitted(office, scene_id)).status == action_pb2.SCENE_STATUS_REVIEW


async def test_an_update_replaces_all_that_the_author_says(office: Office) -> None:
    """What is left out of the new content is gone; an old etag changes nothing."""
    drafted = await office.drafted(scene(holdout_bp=500))
    scene_id, etag = drafted.definition.definition_id, drafted.definition.etag
    changed = await updated(office, scene_id, scene(name="Another"), etag)
    assert (changed.name, changed.holdout_bp) == ("Another", 0)
    late = updated(office, scene_id, scene(name="Late"), etag)
    assert await refused(late) is DefinitionReason.DEFINITION_ETAG_MISMATCH


@pytest.mark.parametrize("stage", ["review", "published"])
async def test_x8_what_was_put_forward_does_not_change(office: Office, stage: str) -> None:
    """Neither by its author nor by a simulation."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id
    await office.simulated(scene_id)
    await submitted(office, scene_id)
    if stage == "published":
        await approved(office, scene_id)
    change = updated(office, scene_id, scene(name="Changed"))
    assert await refused(change) is DefinitionReason.NOT_A_DRAFT
    assert await refused(office.simulated(scene_id)) is DefinitionReason.NOT_A_DRAFT
    assert (await office.scenes.get(scene_id, 0)).said.body == scene()


async def test_x8_tasks_keep_the_version_they_were_made_by(office: Office) -> None:
    """A new version changes neither guidance nor number of steps of what is under way."""
    first = await office.launched(scene(nodes=2))
    scene_id = first.definition.definition_id
    task = await office.task_for(scene_id, 11)
    await office.launched(scene(nodes=1, name="Shorter"), scene_id)
    behind = await office.strategies.behind(task)
    assert behind.scene == scene(nodes=2)
    await office.complete(task)
    (following,) = await office.open_tasks()
    assert (following.node, following.scene_version) == (1, first.scene_version)


async def test_x9_nobody_approves_what_he_wrote(office: Office) -> None:
    """Not even when the mesh let him through."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id
    await office.simulated(scene_id)
    await submitted(office, scene_id)
    assert await refused(approved(office, scene_id, MAKER)) is MeshReason.CHECKER_IS_MAKER


async def test_only_the_author_puts_his_draft_forward(office: Office) -> None:
    """Another operator may look at it, no more."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id
    await office.simulated(scene_id)
    other = submitted(office, scene_id, "hq002")
    assert await refused(other) is DefinitionReason.NOT_THE_AUTHOR
    assert await statuses(office) == ["SIMULATED"]


async def test_a_draft_changed_during_its_simulation_is_not_simulated(office: Office) -> None:
    """What the simulation says is of another draft by then."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id

    async def meanwhile(backtest_id: int, token: str) -> Any:
        await updated(office, scene_id, scene(holdout_bp=700))
        return office.world.backtests[backtest_id][0]

    office.simulations._backtests = _Backtests(meanwhile)
    simulation = office.simulated(scene_id)
    assert await refused(simulation) is DefinitionReason.DEFINITION_ETAG_MISMATCH
    assert (await office.scenes.get(scene_id, 0)).run.status == action_pb2.SCENE_STATUS_DRAFT


class _Backtests:
    def __init__(self, backtest_page: Any) -> None:
        self.backtest_page = backtest_page


async def test_unknown_scenes_are_told_as_such(office: Office) -> None:
    """Every step says that there is no such scene."""
    for call in (
        office.drafted(scene(), 404),
        updated(office, 404, scene()),
        submitted(office, 404),
        approved(office, 404),
        office.launch(404),
        office.scenes.get(404, 0),
    ):
        assert await refused(call) is DefinitionReason.DEFINITION_NOT_FOUND


async def test_scenes_are_listed_newest_first_in_their_newest_version(office: Office) -> None:
    """Each with where that version stands."""
    first = await office.launched(scene(name="First"))
    await office.drafted(scene(name="Second"))
    await office.drafted(scene(name="First again"), first.definition.definition_id)
    page = await office.scenes.page(PageRequest(listing="scenes", size=1, token=""))
    rest = await office.scenes.page(PageRequest(listing="scenes", size=1, token=page.next_token))
    shown = [(one.said.body.name, one.run.status) for one in (*page.entries, *rest.entries)]
    draft = action_pb2.SCENE_STATUS_DRAFT
    assert shown == [("Second", draft), ("First again", draft)]
    assert rest.next_token == ""
