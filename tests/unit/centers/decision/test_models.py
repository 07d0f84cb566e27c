"""The life of a model, over the real database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from centers.decision import wire
from centers.decision.app import Decision
from centers.decision.errors import DecisionReason
from engine.decision.v1 import decision_pb2 as pb
from mesh.clock import ManualClock
from mesh.definitions import DefinitionReason
from mesh.errors import MeshError, MeshReason, Reason
from mesh.paging import PageRequest

Launch = Callable[[pb.Model], Awaitable[int]]
DAY_S = 86_400


def model(name: str = "large", **fields: Any) -> pb.Model:
    return pb.Model(name=name, event_type="core.inflow", **{"scene_id": 9, **fields})


def answer(shown: Any) -> pb.Model:
    return wire.model(*shown)


def found(backtest: pb.Backtest) -> pb.Backtest:
    return backtest


async def drafted(centre: Decision, **fields: Any) -> int:
    made = await centre.models.draft(0, model(**fields), "an", answer)
    return made.definition.definition_id


async def refused(step: Awaitable[Any]) -> Reason:
    with pytest.raises(MeshError) as error:
        await step
    return error.value.reason


async def test_draft_is_idle_and_its_author_s(centre: Decision) -> None:
    """What a caller says of head and status is not taken."""
    body = wire.content(
        pb.Model(name="a", event_type="core.inflow", status=pb.MODEL_STATUS_LIVE, scene_id=1)
    )
    made = await centre.models.draft(0, body, "an", answer)
    assert (made.status, made.definition.author) == (pb.MODEL_STATUS_IDLE, "an")
    assert made.definition.version == 1


async def test_draft_with_a_wrong_filter_is_refused(centre: Decision) -> None:
    """Before ids are taken."""
    step = centre.models.draft(0, model(filter="amount_fen >"), "an", answer)
    assert await refused(step) is DecisionReason.FILTER_INVALID


async def test_submit_needs_a_scene(centre: Decision) -> None:
    """What feeds nothing cannot be launched."""
    model_id = await drafted(centre, scene_id=0)
    await centre.backtests.make(model_id, 1, found)
    step = centre.models.submit(model_id, "an", answer)
    assert await refused(step) is DecisionReason.SCENE_NEEDED


async def test_submit_needs_a_backtest_of_this_very_draft(centre: Decision) -> None:
    """An update takes the right of the backtest made before."""
    model_id = await drafted(centre)
    submit = centre.models.submit
    assert await refused(submit(model_id, "an", answer)) is DecisionReason.BACKTEST_NEEDED
    await centre.backtests.make(model_id, 1, found)
    await centre.models.update(model_id, model("larger"), actor="an", etag="")
    assert await refused(submit(model_id, "an", answer)) is DecisionReason.BACKTEST_NEEDED
    await centre.backtests.make(model_id, 1, found)
    assert (await submit(model_id, "an", answer)).name == "larger"


@pytest.mark.parametrize(("days", "allowed"), [(7, True), (7.001, False)])
async def test_backtest_holds_seven_days(
    centre: Decision, clock: ManualClock, days: float, allowed: bool
) -> None:
    """For the submission as for the launch."""
    first, second = await drafted(centre), await drafted(centre)
    for model_id in (first, second):
        await centre.backtests.make(model_id, 1, found)
    await centre.models.submit(second, "an", answer)
    clock.advance(days * DAY_S)
    submitted = centre.models.submit(first, "an", answer)
    launched = centre.models.launch(second, "bo", answer)
    for step in (submitted, launched):
        if allowed:
            await step
        else:
            assert await refused(step) is DecisionReason.BACKTEST_NEEDED


async def test_version_in_review_can_be_tested_again_and_launched(
    centre: Decision, clock: ManualClock
) -> None:
    """A review that takes long needs no new submission."""
    model_id = await drafted(centre)
    await centre.backtests.make(model_id, 1, found)
    await centre.models.submit(model_id, "an", answer)
    clock.advance(8 * DAY_S)
    await centre.backtests.make(model_id, 1, found)
    made = await centre.models.launch(model_id, "bo", answer)
    assert (made.status, made.definition.checker) == (pb.MODEL_STATUS_LIVE, "bo")


async def test_author_cannot_launch(centre: Decision) -> None:
    """X9, also without the mesh before it; and nothing is live then."""
    model_id = await drafted(centre)
    await centre.backtests.make(model_id, 1, found)
    await centre.models.submit(model_id, "an", answer)
    step = centre.models.launch(model_id, "an", answer)
    assert await refused(step) is MeshReason.CHECKER_IS_MAKER
    assert (await centre.models.get(model_id, 0))[1].name == "IDLE"


async def test_update_with_an_old_etag_is_refused(centre: Decision) -> None:
    """Somebody else changed it."""
    model_id = await drafted(centre)
    before = (await centre.models.get(model_id, 0))[0].etag
    await centre.models.update(model_id, model("b"), actor="an", etag=before)
    step = centre.models.update(model_id, model("c"), actor="an", etag=before)
    assert await refused(step) is DefinitionReason.DEFINITION_ETAG_MISMATCH


async def test_published_version_never_changes(centre: Decision, launch: Launch) -> None:
    """X8: a change is a new version, and the live one goes on meanwhile."""
    model_id = await launch(model())
    step = centre.models.update(model_id, model("other"), actor="an", etag="")
    assert await refused(step) is DefinitionReason.NOT_A_DRAFT
    made = await centre.models.draft(model_id, model("other"), "cy", answer)
    assert (made.definition.version, made.status, made.name) == (2, pb.MODEL_STATUS_IDLE, "other")
    first, status = await centre.models.get(model_id, 1)
    assert (first.body.name, status.name) == ("large", "LIVE")


async def test_pause_and_resume_say_when_there_is_nothing_to_do(
    centre: Decision, launch: Launch
) -> None:
    """Pausing twice is told, and so is resuming what runs."""
    model_id = await launch(model())
    models = centre.models
    assert await refused(models.resume(model_id, answer)) is DecisionReason.MODEL_NOT_PAUSED
    assert (await models.pause(model_id, answer)).status == pb.MODEL_STATUS_PAUSED
    assert await refused(models.pause(model_id, answer)) is DecisionReason.MODEL_NOT_LIVE
    assert (await models.resume(model_id, answer)).status == pb.MODEL_STATUS_LIVE
    unknown = models.pause(10_000, answer)
    assert await refused(unknown) is DefinitionReason.DEFINITION_NOT_FOUND


async def test_models_are_listed_newest_first_with_their_status(
    centre: Decision, launch: Launch
) -> None:
    """Each in its newest version."""
    first = await launch(model("first"))
    second = await drafted(centre, name="second")
    page = await centre.models.page(PageRequest(listing="models", size=1, token=""))
    rest = await centre.models.page(PageRequest(listing="models", size=1, token=page.next_token))
    listed = [(v.definition_id, status.name) for v, status in (*page.entries, *rest.entries)]
    assert listed == [(second, "IDLE"), (first, "LIVE")]


async def test_statistics_of_a_model_that_was_never_launched_are_refused(centre: Decision) -> None:
    """It saw nothing, which is not the same as zero."""
    model_id = await drafted(centre)
    step = centre.answers.statistics(model_id, 0)
    assert await refused(step) is DecisionReason.MODEL_NEVER_LAUNCHED
