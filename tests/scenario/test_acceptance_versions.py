"""A6, version and kill: a running scene is edited; what began on a version stays on it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cli.loop.catalogue import MAKER
from cli.loop.people import People, request_id, tried, until
from cli.loop.strategies import Strategies
from engine.action.v1 import action_pb2
from engine.reach.v1 import reach_pb2
from engine.review.v1 import review_pb2, review_pb2_grpc
from tests.scenario.fixture import Books, Feed, bring_customers, launch, name_of, view

ON_FIRST, ON_SECOND, AFTER = 400, 100, 50


def a_scene(name: str, guidance: str) -> action_pb2.Scene:
    """A scene that asks for a call, in such words."""
    node = action_pb2.Node(name="Call", guidance=guidance, channels=[reach_pb2.CHANNEL_CALL])
    return action_pb2.Scene(
        name=name,
        objective="a6_versions",
        business=action_pb2.BUSINESS_WEALTH,
        nodes=[node],
        success_metric="net_external_inflow",
    )


async def edit(people: People, feed: Feed, guidance: str) -> action_pb2.Scene:
    """Let the next version of the scene run, with other guidance."""
    strategies, scene = Strategies(people), a_scene(feed.channel, guidance)
    scene.definition.definition_id = feed.scene_id
    await strategies.draft_scene(scene)
    return await strategies.launch_scene(feed.scene_id, feed.backtest_id)


async def roll_back(people: People, feed: Feed) -> action_pb2.RollBackSceneResponse:
    """Go back to the version before, in one call."""
    scenes = Strategies(people).scenes(MAKER)
    request = action_pb2.RollBackSceneRequest(scene_id=feed.scene_id, request_id=request_id())
    return await tried(lambda: scenes.RollBackScene(request))


async def reviewed(people: People, scene: action_pb2.Scene, tasks: int) -> int:
    """Tasks of the version in the review, once there are so many; patience is bounded."""
    review: Any = review_pb2_grpc.ReviewServiceStub(people.as_user(MAKER, "review"))
    request = review_pb2.GetFunnelRequest(scene_version=scene.scene_version)

    async def found() -> int:
        funnel = (await tried(lambda: review.GetFunnel(request))).funnel
        return {stage.name: int(stage.count) for stage in funnel.stages}["tasks"]

    return await until(found, lambda seen: seen >= tasks)


async def shown(desks: Books, tasks: list[action_pb2.Task], scene: action_pb2.Scene) -> str:
    """The guidance that the owner of a task of this version sees."""
    task = next(one for one in tasks if one.chain.scene_version == scene.scene_version)
    return (await desks.of(task.customer_id).task_view(task.task_id)).node.guidance


def by_version(tasks: list[action_pb2.Task]) -> Counter[int]:
    """Number of tasks by the version that they belong to."""
    return Counter(task.chain.scene_version for task in tasks)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("shelf")
async def test_tasks_stay_on_the_version_they_began_on(people: People) -> None:
    """400 open tasks stay on v1, new ones are of v2; the review separates them; v2 is undone."""
    tokens = await bring_customers(people, ON_FIRST + ON_SECOND + AFTER)
    desks = await Books(people).arrive()
    feed = await launch(people, a_scene(name_of("A6"), "v1"))
    await view(people, feed, tokens[:ON_FIRST])
    await desks.tasks(feed.scene_id, ON_FIRST)
    first, second = feed.version, await edit(people, feed, "v2")
    assert (first.definition.version, second.definition.version) == (1, 2)
    await view(people, feed, tokens[ON_FIRST:-AFTER])
    tasks = await desks.tasks(feed.scene_id, ON_FIRST + ON_SECOND)
    both = {first.scene_version: ON_FIRST, second.scene_version: ON_SECOND}
    assert by_version(tasks) == both
    assert [await shown(desks, tasks, scene) for scene in (first, second)] == ["v1", "v2"]
    assert await reviewed(people, first, ON_FIRST) == ON_FIRST
    assert await reviewed(people, second, ON_SECOND) == ON_SECOND

    back = await roll_back(people, feed)
    assert (back.scene.scene_version, back.recalled) == (first.scene_version, ON_SECOND)
    left = await desks.open_tasks(feed.scene_id)
    assert by_version(left) == {first.scene_version: ON_FIRST}
    await view(people, feed, tokens[-AFTER:])
    after = await desks.tasks(feed.scene_id, ON_FIRST + AFTER)
    assert by_version(after) == {first.scene_version: ON_FIRST + AFTER}
    assert await reviewed(people, first, ON_FIRST + AFTER) == ON_FIRST + AFTER
    assert await reviewed(people, second, ON_SECOND) == ON_SECOND
    await Strategies(people).pause_model(feed.model_id)
