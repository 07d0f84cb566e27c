"""What head office does before any money comes in: history, scene, model, benefit, preferences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from bank.catalogue import INFLOW_PRODUCT, INFLOW_SCRIPT, SERVICE_SCRIPT
from bank.inflow import ABSOLUTE_FEN, EXCLUDED, HISTORY_DAYS, OWN_MULTIPLE, STOCK, Cast
from cli.loop._population import HOLDOUT_BP
from cli.loop.catalogue import CHECKER, MAKER, Shelf
from cli.loop.people import People, request_id, slices, together, tried, until
from cli.loop.strategies import INFLOW, Strategies, inflow_event
from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from engine.decision.v1 import decision_pb2
from engine.reach.v1 import reach_pb2, reach_pb2_grpc

if TYPE_CHECKING:
    from engine.benefits.v1.benefits_pb2_grpc import BenefitsServiceAsyncStub
    from engine.reach.v1.reach_pb2_grpc import ReachServiceAsyncStub

COUNTER: Final = "COUNTER"
EARLIER_FEN: Final = 10_000
_OWN_PERCENTILE_BP: Final = 9_500
_QUIET_MINUTES = (-60, 360)
"""The quiet hours of those who are deferred, around now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What was launched."""

    scene_id: int
    scene_version: int
    model_id: int
    activity_id: int
    script_id: int
    product_id: int
    service_script_id: int
    backtest_ms: int


def channel_of(run: int) -> str:
    """The channel of a run's inflows: what one run launches must not act on another's customers.

    Two opportunities from one event would compete for the money that follows.
    """
    return f"TRANSFER-{run}"


class HeadOffice:
    """Launches the strategy of one run, and ends it."""

    def __init__(self, people: People, parts: Cast, shelf: Shelf, *, run: int) -> None:
        self._people = people
        self._strategies = Strategies(people)
        self._parts = parts
        self._shelf = shelf
        self._run = run
        self._objective = f"large_inflow_{run}"

    async def launch(self) -> Strategy:
        """History in, models and scenes live, a benefit open, preferences recorded."""
        await self._strategies.sign_on()
        await self._tell_history()
        await self._occupy()
        activity_id = await self._open_activity()
        node = action_pb2.Node(
            name="首次触达 First contact",
            guidance="24 小时内联系客户，了解资金用途。Call within 24 hours; ask what for.",
            channels=[reach_pb2.CHANNEL_WECOM, reach_pb2.CHANNEL_CALL, reach_pb2.CHANNEL_SMS],
            script_ids=[self._shelf.scripts[INFLOW_SCRIPT.title]],
            product_id=self._shelf.products[INFLOW_PRODUCT],
            activity_id=activity_id,
        )
        scene_id = await self._draft_scene("大额入账 Large inflow", node, HOLDOUT_BP)
        model = self._model("大额入账 Large inflow", scene_id)
        model.threshold.at_least = ABSOLUTE_FEN
        model.threshold.own_percentile_bp = _OWN_PERCENTILE_BP
        model.threshold.own_multiple_bp = OWN_MULTIPLE * 10_000
        model.exclusion_classes.extend(EXCLUDED)
        model.filter = f"channel == '{channel_of(self._run)}'"
        model_id, backtest = await self._strategies.draft_model(model)
        scene = await self._strategies.launch_scene(scene_id, backtest.backtest_id)
        await self._strategies.launch_model(model_id)
        await self._record_preferences()
        return Strategy(
            scene_id=scene_id,
            scene_version=scene.scene_version,
            model_id=model_id,
            activity_id=activity_id,
            script_id=self._shelf.scripts[INFLOW_SCRIPT.title],
            product_id=self._shelf.products[INFLOW_PRODUCT],
            service_script_id=self._shelf.scripts[SERVICE_SCRIPT.title],
            backtest_ms=backtest.took_ms,
        )

    async def pause(self, strategy: Strategy) -> None:
        """The run is over: its model looks at no more events."""
        await self._strategies.pause_model(strategy.model_id)

    async def _tell_history(self) -> None:
        """Earlier inflows, from which each customer's own threshold follows."""
        random, now = Random(self._run), datetime.now(UTC)  # noqa: S311 - a fixture
        events = [
            inflow_event(
                f"H-{self._run}-{token}-{place}",
                token,
                amount,
                money_class="SALARY",
                channel=channel_of(self._run),
                at=now - timedelta(days=random.uniform(2, HISTORY_DAYS)),
            )
            for token, amounts in self._parts.history.items()
            for place, amount in enumerate(amounts)
        ]
        await together(slices(events), self._strategies.ingest, most=2)

    async def _occupy(self) -> None:
        """Give some customers an open task of the same objective, by a scene of its own."""
        node = action_pb2.Node(name="柜面回访 Counter call")
        scene_id = await self._draft_scene("柜面大额 At the counter", node, 0)
        model = self._model("柜面大额 At the counter", scene_id)
        model.filter = f"channel == '{COUNTER}'"
        model_id, backtest = await self._strategies.draft_model(model)
        await self._strategies.launch_scene(scene_id, backtest.backtest_id)
        await self._strategies.launch_model(model_id)
        now = datetime.now(UTC)
        events = [
            inflow_event(
                f"C-{self._run}-{token}",
                token,
                EARLIER_FEN,
                money_class="THIRD_PARTY",
                channel=COUNTER,
                at=now,
            )
            for token in self._parts.same_objective
        ]
        await self._strategies.ingest(events)
        wanted = len(events)
        listing = action_pb2.ListOpportunitiesRequest(
            scene_id=scene_id, state=action_pb2.OPPORTUNITY_STATE_TASKED, page_size=1_000
        )
        scenes = self._strategies.scenes(MAKER)
        await until(
            lambda: scenes.ListOpportunities(listing),
            lambda answer: len(answer.opportunities) >= wanted,
        )
        await self._strategies.pause_model(model_id)

    async def _draft_scene(self, name: str, node: action_pb2.Node, holdout_bp: int) -> int:
        scene = action_pb2.Scene(
            name=f"{name} {self._run}",
            objective=self._objective,
            business=action_pb2.BUSINESS_WEALTH,
            holdout_bp=holdout_bp,
            holdout_salt=self._parts.salt,
            nodes=[node],
            success_metric="net_external_inflow",
        )
        return await self._strategies.draft_scene(scene)

    def _model(self, name: str, scene_id: int) -> decision_pb2.Model:
        model = decision_pb2.Model(name=f"{name} {self._run}", event_type=INFLOW, scene_id=scene_id)
        model.cooldown.FromTimedelta(timedelta(days=1))
        return model

    async def _open_activity(self) -> int:
        maker: BenefitsServiceAsyncStub = benefits_pb2_grpc.BenefitsServiceStub(
            self._people.as_user(MAKER, "benefits")
        )
        checker: BenefitsServiceAsyncStub = benefits_pb2_grpc.BenefitsServiceStub(
            self._people.as_user(CHECKER, "benefits")
        )
        activity = benefits_pb2.Activity(
            name=f"到账礼 Welcome gift {self._run}",
            sku=f"GIFT-{self._run:06}",
            benefit_type=benefits_pb2.BENEFIT_TYPE_LOUNGE,
            cost_fen=8_800,
        )
        draft = benefits_pb2.DraftActivityRequest(activity=activity, request_id=request_id())
        made = (await tried(lambda: maker.DraftActivity(draft))).activity
        activity_id = made.definition.definition_id
        submit = benefits_pb2.SubmitActivityRequest(
            activity_id=activity_id, request_id=request_id()
        )
        await tried(lambda: maker.SubmitActivity(submit))
        approve = benefits_pb2.ApproveActivityRequest(
            activity_id=activity_id, request_id=request_id()
        )
        await tried(lambda: checker.ApproveActivity(approve))
        issue = benefits_pb2.IssueStockRequest(
            activity_id=activity_id, quantity=STOCK, request_id=request_id()
        )
        await tried(lambda: checker.IssueStock(issue))
        return activity_id

    async def _record_preferences(self) -> None:
        reach: ReachServiceAsyncStub = reach_pb2_grpc.ReachServiceStub(
            self._people.as_user(MAKER, "reach")
        )

        async def refuse(token: int) -> None:
            request = reach_pb2.RecordOptOutRequest(
                customer_id=token, evidence="H5", request_id=request_id()
            )
            await tried(lambda: reach.RecordOptOut(request))

        async def rest(token: int) -> None:
            begin, end = _around_now()
            request = reach_pb2.SetQuietHoursRequest(
                customer_id=token, from_minute=begin, to_minute=end
            )
            await tried(lambda: reach.SetQuietHours(request))

        await together(self._parts.opted_out, refuse)
        await together(self._parts.deferred, rest)


def _around_now() -> Iterator[int]:
    """Minutes of the bank's day between which it is quiet now."""
    bank_time = datetime.now(UTC) + timedelta(hours=8)
    minute = bank_time.hour * 60 + bank_time.minute
    return ((minute + offset) % 1_440 for offset in _QUIET_MINUTES)
