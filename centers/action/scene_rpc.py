"""The contract of scenes: messages to use cases and back."""

from __future__ import annotations

from centers.action import wire
from centers.action.listing import OpportunityLists
from centers.action.running import RunningScenes
from centers.action.scenes import Scenes, SceneVersion
from centers.action.simulation import Simulations
from engine.action.v1 import action_pb2, action_pb2_grpc
from mesh import context


class SceneRpc(action_pb2_grpc.SceneServiceServicer):
    """Serves `engine.action.v1.SceneService`."""

    def __init__(
        self,
        scenes: Scenes,
        running: RunningScenes,
        simulations: Simulations,
        opportunities: OpportunityLists,
    ) -> None:
        self._scenes = scenes
        self._running = running
        self._simulations = simulations
        self._opportunities = opportunities

    async def DraftScene(
        self, request: action_pb2.DraftSceneRequest, _: object
    ) -> action_pb2.DraftSceneResponse:
        return await self._scenes.draft(
            request.scene.definition.definition_id,
            wire.content(request.scene),
            context.current().actor,
            lambda made: action_pb2.DraftSceneResponse(scene=_scene(made)),
        )

    async def UpdateScene(
        self, request: action_pb2.UpdateSceneRequest, _: object
    ) -> action_pb2.UpdateSceneResponse:
        return await self._scenes.update(
            request.scene_id,
            wire.content(request.scene),
            actor=context.current().actor,
            etag=request.scene.definition.etag,
            respond=lambda made: action_pb2.UpdateSceneResponse(scene=_scene(made)),
        )

    async def GetScene(
        self, request: action_pb2.GetSceneRequest, _: object
    ) -> action_pb2.GetSceneResponse:
        found = await self._scenes.get(request.scene_id, request.version)
        return action_pb2.GetSceneResponse(scene=_scene(found))

    async def ListScenes(
        self, request: action_pb2.ListScenesRequest, _: object
    ) -> action_pb2.ListScenesResponse:
        page = await self._scenes.page(wire.scenes_page(request))
        return action_pb2.ListScenesResponse(
            scenes=map(_scene, page.entries), next_page_token=page.next_token
        )

    async def SimulateScene(
        self, request: action_pb2.SimulateSceneRequest, _: object
    ) -> action_pb2.SimulateSceneResponse:
        return await self._simulations.simulate(
            request.scene_id,
            request.backtest_id,
            lambda made: action_pb2.SimulateSceneResponse(simulation=made.run.simulation),
        )

    async def SubmitScene(
        self, request: action_pb2.SubmitSceneRequest, _: object
    ) -> action_pb2.SubmitSceneResponse:
        return await self._scenes.submit(
            request.scene_id,
            context.current().actor,
            lambda made: action_pb2.SubmitSceneResponse(scene=_scene(made)),
        )

    async def ApproveScene(
        self, request: action_pb2.ApproveSceneRequest, _: object
    ) -> action_pb2.ApproveSceneResponse:
        return await self._scenes.approve(
            request.scene_id,
            context.current().actor,
            lambda made: action_pb2.ApproveSceneResponse(scene=_scene(made)),
        )

    async def LaunchScene(
        self, request: action_pb2.LaunchSceneRequest, _: object
    ) -> action_pb2.LaunchSceneResponse:
        return await self._running.launch(
            request.scene_id, lambda made: action_pb2.LaunchSceneResponse(scene=_scene(made))
        )

    async def PauseScene(
        self, request: action_pb2.PauseSceneRequest, _: object
    ) -> action_pb2.PauseSceneResponse:
        return await self._running.pause(
            request.scene_id, lambda made: action_pb2.PauseSceneResponse(scene=_scene(made))
        )

    async def ResumeScene(
        self, request: action_pb2.ResumeSceneRequest, _: object
    ) -> action_pb2.ResumeSceneResponse:
        return await self._running.resume(
            request.scene_id, lambda made: action_pb2.ResumeSceneResponse(scene=_scene(made))
        )

    async def EndScene(
        self, request: action_pb2.EndSceneRequest, _: object
    ) -> action_pb2.EndSceneResponse:
        return await self._running.end(
            request.scene_id, lambda made: action_pb2.EndSceneResponse(scene=_scene(made))
        )

    async def RollBackScene(
        self, request: action_pb2.RollBackSceneRequest, _: object
    ) -> action_pb2.RollBackSceneResponse:
        return await self._running.roll_back(
            request.scene_id,
            request.version,
            lambda made, recalled: action_pb2.RollBackSceneResponse(
                scene=_scene(made), recalled=recalled
            ),
        )

    async def ListOpportunities(
        self, request: action_pb2.ListOpportunitiesRequest, _: object
    ) -> action_pb2.ListOpportunitiesResponse:
        page = await self._opportunities.page(
            wire.opportunities_page(request), request.scene_id, request.version, request.state
        )
        return action_pb2.ListOpportunitiesResponse(
            opportunities=map(wire.opportunity, page.entries), next_page_token=page.next_token
        )


def _scene(made: SceneVersion) -> action_pb2.Scene:
    return wire.scene(made.said, made.run)
