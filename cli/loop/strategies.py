"""How head office launches any strategy: scenes and models, from draft to live; and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cli.loop.catalogue import CHECKER, MAKER
from cli.loop.people import People, request_id, tried
from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.decision.v1 import decision_pb2, decision_pb2_grpc

if TYPE_CHECKING:
    from engine.action.v1.action_pb2_grpc import SceneServiceAsyncStub
    from engine.decision.v1.decision_pb2_grpc import DecisionServiceAsyncStub

LAUNCHER: Final = "hq2"
SOURCE: Final = "core"
INFLOW: Final = "core.inflow"
VIEWED: Final = "loan.offer_viewed"
DRAWN: Final = "loan.drawdown"


class Strategies:
    """Launches scenes and models: one person writes, another one approves."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def sign_on(self) -> None:
        """Sign on who takes part."""
        await self._people.sign_on((MAKER, CHECKER, LAUNCHER, SOURCE))

    async def draft_scene(self, scene: action_pb2.Scene) -> int:
        """Draft a scene, or with its `definition_id` the next version of one; its id."""
        request = action_pb2.DraftSceneRequest(scene=scene, request_id=request_id())
        answer = await tried(lambda: self.scenes(MAKER).DraftScene(request))
        return answer.scene.definition.definition_id

    async def draft_model(
        self, model: decision_pb2.Model, *, days: int = 90
    ) -> tuple[int, decision_pb2.Backtest]:
        """Draft a model and test it on what happened; its id, and what it would have done."""
        decisions = self.decisions(MAKER)
        draft = decision_pb2.DraftModelRequest(model=model, request_id=request_id())
        made = (await tried(lambda: decisions.DraftModel(draft))).model
        model_id = made.definition.definition_id
        test = decision_pb2.BacktestModelRequest(
            model_id=model_id, days=days, request_id=request_id()
        )
        backtest = (await tried(lambda: decisions.BacktestModel(test, timeout=60))).backtest
        return model_id, backtest

    async def launch_scene(self, scene_id: int, backtest_id: int) -> action_pb2.Scene:
        """Play the draft on a backtest, have it approved and let it run."""
        maker, checker = self.scenes(MAKER), self.scenes(CHECKER)
        simulate = action_pb2.SimulateSceneRequest(
            scene_id=scene_id, backtest_id=backtest_id, request_id=request_id()
        )
        await tried(lambda: maker.SimulateScene(simulate, timeout=30))
        submit = action_pb2.SubmitSceneRequest(scene_id=scene_id, request_id=request_id())
        await tried(lambda: maker.SubmitScene(submit))
        approve = action_pb2.ApproveSceneRequest(scene_id=scene_id, request_id=request_id())
        await tried(lambda: checker.ApproveScene(approve))
        launch = action_pb2.LaunchSceneRequest(scene_id=scene_id, request_id=request_id())
        return (await tried(lambda: maker.LaunchScene(launch))).scene

    async def launch_model(self, model_id: int) -> None:
        """Let the draft of a model look at events from now on."""
        submit = decision_pb2.SubmitModelRequest(model_id=model_id, request_id=request_id())
        await tried(lambda: self.decisions(MAKER).SubmitModel(submit))
        launch = decision_pb2.LaunchModelRequest(model_id=model_id, request_id=request_id())
        await tried(lambda: self.decisions(LAUNCHER).LaunchModel(launch))

    async def pause_model(self, model_id: int) -> None:
        """Let a model look at no more events."""
        pause = decision_pb2.PauseModelRequest(model_id=model_id, request_id=request_id())
        await tried(lambda: self.decisions(LAUNCHER).PauseModel(pause))

    async def ingest(self, events: Sequence[decision_pb2.BusinessEvent]) -> None:
        """Hand in events of the bank's systems."""
        request = decision_pb2.IngestRequest(events=events)
        await tried(lambda: self.decisions(SOURCE).Ingest(request, timeout=30))

    async def statistics(self, model_id: int) -> decision_pb2.Statistics:
        """What became of the events that a model saw."""
        request = decision_pb2.GetModelStatisticsRequest(model_id=model_id)
        return (await tried(lambda: self.decisions(MAKER).GetModelStatistics(request))).statistics

    def decisions(self, username: str) -> DecisionServiceAsyncStub:
        """The decision centre as somebody."""
        return decision_pb2_grpc.DecisionServiceStub(self._people.as_user(username, "decision"))

    def scenes(self, username: str) -> SceneServiceAsyncStub:
        """The scenes of the action centre as somebody."""
        return action_pb2_grpc.SceneServiceStub(self._people.as_user(username, "action"))


def inflow_event(
    key: str, token: int, amount_fen: int, *, money_class: str, channel: str, at: datetime
) -> decision_pb2.BusinessEvent:
    """An inflow as the core bank hands it in."""
    texts = {"class": money_class, "channel": channel}
    return business_event(
        INFLOW, key, token, at=at, numbers={"amount_fen": amount_fen}, texts=texts
    )


def business_event(
    event_type: str,
    key: str,
    token: int,
    *,
    at: datetime,
    numbers: Mapping[str, int],
    texts: Mapping[str, str],
) -> decision_pb2.BusinessEvent:
    """An event as one of the bank's systems hands it in."""
    event = decision_pb2.BusinessEvent(
        event_type=event_type, business_key=key, customer_id=token, numbers=numbers, texts=texts
    )
    event.occurred_time.FromDatetime(at)
    return event
