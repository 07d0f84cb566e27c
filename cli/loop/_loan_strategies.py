"""The two strategies of the loan scenario, and the events that they look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bank.catalogue import INFLOW_PRODUCT, INFLOW_SCRIPT, LOAN_PRODUCT, LOAN_SCRIPT
from bank.loans import EXPECTED, LoanCast
from cli.loop.catalogue import Shelf
from cli.loop.people import People, until
from cli.loop.strategies import DRAWN, INFLOW, VIEWED, Strategies, business_event
from engine.action.v1 import action_pb2
from engine.decision.v1 import decision_pb2
from engine.reach.v1 import reach_pb2

WITHIN: Final = timedelta(days=3)

_JUST_OVER: Final = WITHIN + timedelta(minutes=1)
_NOT_YET: Final = WITHIN - timedelta(hours=1)
_DRAWN_AFTER: Final = timedelta(days=1)
_BACKTEST_DAYS: Final = 7
_LIMIT_FEN, _DRAWN_FEN, _INFLOW_FEN = 20_000_000, 1_000_000, 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A scene that runs, and the model that feeds it."""

    scene_id: int
    scene_version: int
    model_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """The two strategies of a run."""

    credit: Feed
    wealth: Feed


class LoanStrategies:
    """Launches both, and hands in what the bank's systems saw. A run's events have its channel."""

    def __init__(self, people: People, shelf: Shelf, *, run: int) -> None:
        self._strategies = Strategies(people)
        self._shelf = shelf
        self._run = run
        self._channel = f"LOANS-{run}"

    async def launch(self) -> Feeds:
        """Both run."""
        await self._strategies.sign_on()
        viewed = decision_pb2.Model(name=f"看而未提 Viewed, not drawn {self._run}")
        viewed.event_type = VIEWED
        viewed.absence.event_type = DRAWN
        viewed.absence.within.FromTimedelta(WITHIN)
        inflow = decision_pb2.Model(name=f"入账 Inflow {self._run}", event_type=INFLOW)
        return Feeds(
            credit=await self._launch(self._credit(), viewed),
            wealth=await self._launch(self._wealth(), inflow),
        )

    async def hand_in(self, parts: LoanCast) -> None:
        """The events of all parts at once, as they come from a night's files."""
        await self._strategies.ingest(list(self._events(parts, datetime.now(UTC))))

    async def verdicts(self, feeds: Feeds) -> Mapping[str, int]:
        """What the model of the loan scene decided on the offers viewed, once it is through."""

        def through(found: decision_pb2.Statistics) -> bool:
            return found.verdicts["VERDICT_FIRED"] >= EXPECTED["opportunities"]

        found = await until(lambda: self._strategies.statistics(feeds.credit.model_id), through)
        return {
            "viewed": found.unique,
            "drawn_in_time": found.verdicts["VERDICT_ENDED_BY_EVENT"],
            "waiting": found.verdicts["VERDICT_WAITING"],
        }

    async def pause(self, feeds: Feeds) -> None:
        """The run is over: its models look at no more events."""
        for feed in (feeds.credit, feeds.wealth):
            await self._strategies.pause_model(feed.model_id)

    async def _launch(self, scene: action_pb2.Scene, model: decision_pb2.Model) -> Feed:
        scene_id = await self._strategies.draft_scene(scene)
        model.scene_id = scene_id
        model.filter = f"has(channel) && channel == '{self._channel}'"
        model_id, backtest = await self._strategies.draft_model(model, days=_BACKTEST_DAYS)
        launched = await self._strategies.launch_scene(scene_id, backtest.backtest_id)
        await self._strategies.launch_model(model_id)
        return Feed(scene_id=scene_id, scene_version=launched.scene_version, model_id=model_id)

    def _credit(self) -> action_pb2.Scene:
        node = action_pb2.Node(
            name="提款提醒 Reminder",
            guidance="客户三天前看过额度未提款，致电了解原因。Ask what keeps him from drawing.",
            channels=[reach_pb2.CHANNEL_CALL],
            script_ids=[self._shelf.scripts[LOAN_SCRIPT.title]],
            product_id=self._shelf.products[LOAN_PRODUCT],
        )
        return action_pb2.Scene(
            name=f"预授信未提款 Pre-approved, not drawn {self._run}",
            objective=f"loan_drawdown_{self._run}",
            business=action_pb2.BUSINESS_CREDIT,
            nodes=[node],
            success_metric="loan_drawdown",
        )

    def _wealth(self) -> action_pb2.Scene:
        node = action_pb2.Node(
            name="到账问候 Greeting",
            channels=[reach_pb2.CHANNEL_SMS],
            script_ids=[self._shelf.scripts[INFLOW_SCRIPT.title]],
            product_id=self._shelf.products[INFLOW_PRODUCT],
        )
        return action_pb2.Scene(
            name=f"入账 Inflow {self._run}",
            objective=f"inflow_beside_loan_{self._run}",
            business=action_pb2.BUSINESS_WEALTH,
            nodes=[node],
            success_metric="net_external_inflow",
        )

    def _events(self, parts: LoanCast, now: datetime) -> Iterator[decision_pb2.BusinessEvent]:
        viewed = now - _JUST_OVER
        for token in (*parts.called, *parts.in_time):
            yield self._event(VIEWED, token, viewed, {"offer_id": token, "limit_fen": _LIMIT_FEN})
        for token in parts.recent:
            yield self._event(VIEWED, token, now - _NOT_YET, {"offer_id": token})
        for token in parts.in_time:
            drawn = {"offer_id": token, "amount_fen": _DRAWN_FEN}
            yield self._event(DRAWN, token, viewed + _DRAWN_AFTER, drawn)
        for token in parts.contended:
            yield self._event(INFLOW, token, now, {"amount_fen": _INFLOW_FEN})

    def _event(
        self, event_type: str, token: int, at: datetime, numbers: Mapping[str, int]
    ) -> decision_pb2.BusinessEvent:
        texts = {} if event_type == DRAWN else {"channel": self._channel}
        if event_type == INFLOW:
            texts["class"] = "SALARY"
        key = f"A17-{self._run}-{token}"
        return business_event(event_type, key, token, at=at, numbers=numbers, texts=texts)
