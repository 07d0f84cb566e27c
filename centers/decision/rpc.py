"""The decision centre's contract: messages to use cases and back."""

from __future__ import annotations

from centers.decision import wire
from centers.decision.answers import Answers
from centers.decision.backtests import Backtests
from centers.decision.ingest import Ingest
from centers.decision.models import Models
from engine.decision.v1 import decision_pb2 as pb
from engine.decision.v1 import decision_pb2_grpc
from mesh import context


class DecisionRpc(decision_pb2_grpc.DecisionServiceServicer):
    """Serves `engine.decision.v1.DecisionService`."""

    def __init__(
        self, ingest: Ingest, models: Models, backtests: Backtests, answers: Answers
    ) -> None:
        self._ingest = ingest
        self._models = models
        self._backtests = backtests
        self._answers = answers

    async def Ingest(self, request: pb.IngestRequest, _: object) -> pb.IngestResponse:
        outcome = await self._ingest.take_in(
            wire.events(request), wire.reversals(request), respond=wire.ingested
        )
        return wire.ingested(outcome)

    async def DraftModel(self, request: pb.DraftModelRequest, _: object) -> pb.DraftModelResponse:
        return await self._models.draft(
            request.model.definition.definition_id,
            wire.content(request.model),
            context.current().actor,
            lambda shown: pb.DraftModelResponse(model=wire.model(*shown)),
        )

    async def UpdateModel(
        self, request: pb.UpdateModelRequest, _: object
    ) -> pb.UpdateModelResponse:
        shown = await self._models.update(
            request.model_id,
            wire.content(request.model),
            actor=context.current().actor,
            etag=request.model.definition.etag,
        )
        return pb.UpdateModelResponse(model=wire.model(*shown))

    async def GetModel(self, request: pb.GetModelRequest, _: object) -> pb.GetModelResponse:
        shown = await self._models.get(request.model_id, request.version)
        return pb.GetModelResponse(model=wire.model(*shown))

    async def ListModels(self, request: pb.ListModelsRequest, _: object) -> pb.ListModelsResponse:
        page = await self._models.page(wire.models_page(request))
        return pb.ListModelsResponse(
            models=[wire.model(*shown) for shown in page.entries],
            next_page_token=page.next_token,
        )

    async def BacktestModel(
        self, request: pb.BacktestModelRequest, _: object
    ) -> pb.BacktestModelResponse:
        return await self._backtests.make(
            request.model_id,
            request.days,
            lambda found: pb.BacktestModelResponse(backtest=found),
        )

    async def SubmitModel(
        self, request: pb.SubmitModelRequest, _: object
    ) -> pb.SubmitModelResponse:
        return await self._models.submit(
            request.model_id,
            context.current().actor,
            lambda shown: pb.SubmitModelResponse(model=wire.model(*shown)),
        )

    async def LaunchModel(
        self, request: pb.LaunchModelRequest, _: object
    ) -> pb.LaunchModelResponse:
        return await self._models.launch(
            request.model_id,
            context.current().actor,
            lambda shown: pb.LaunchModelResponse(model=wire.model(*shown)),
        )

    async def PauseModel(self, request: pb.PauseModelRequest, _: object) -> pb.PauseModelResponse:
        return await self._models.pause(
            request.model_id, lambda shown: pb.PauseModelResponse(model=wire.model(*shown))
        )

    async def ResumeModel(
        self, request: pb.ResumeModelRequest, _: object
    ) -> pb.ResumeModelResponse:
        return await self._models.resume(
            request.model_id, lambda shown: pb.ResumeModelResponse(model=wire.model(*shown))
        )

    async def GetModelStatistics(
        self, request: pb.GetModelStatisticsRequest, _: object
    ) -> pb.GetModelStatisticsResponse:
        found = await self._answers.statistics(request.model_id, request.version)
        return pb.GetModelStatisticsResponse(statistics=found)

    async def ListTriggers(
        self, request: pb.ListTriggersRequest, _: object
    ) -> pb.ListTriggersResponse:
        page = await self._answers.triggers(request.model_id, wire.triggers_page(request))
        return pb.ListTriggersResponse(
            triggers=map(wire.trigger, page.entries), next_page_token=page.next_token
        )

    async def WhyNot(self, request: pb.WhyNotRequest, _: object) -> pb.WhyNotResponse:
        found = await self._answers.why_not(request.model_id, request.customer_id)
        return pb.WhyNotResponse(decisions=map(wire.decision, found))

    async def GetTrigger(self, request: pb.GetTriggerRequest, _: object) -> pb.GetTriggerResponse:
        found = await self._answers.evidence(request.trigger_id)
        return pb.GetTriggerResponse(
            trigger=wire.trigger(found.trigger), amount_fen=found.amount_fen, texts=found.texts
        )

    async def ListBacktestCustomers(
        self, request: pb.ListBacktestCustomersRequest, _: object
    ) -> pb.ListBacktestCustomersResponse:
        head, page = await self._backtests.customers(
            request.backtest_id, wire.customers_page(request)
        )
        return pb.ListBacktestCustomersResponse(
            customer_ids=page.entries,
            days=head.days,
            model_id=head.model_id,
            scene_id=head.scene_id,
            create_time=wire.timestamp(head.create_us),
            next_page_token=page.next_token,
        )
