"""What the core bank records of loans drawn, and what ledger and review make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bank.loans import EXPECTED, LoanCast
from cli.loop._loan_strategies import Feed, Feeds
from cli.loop.catalogue import MAKER
from cli.loop.people import People, request_id, together, tried, until
from cli.loop.strategies import SOURCE
from engine.performance.v1 import performance_pb2, performance_pb2_grpc
from engine.review.v1 import review_pb2, review_pb2_grpc
from mesh.zone import BANK_ZONE

if TYPE_CHECKING:
    from engine.performance.v1.performance_pb2_grpc import PerformanceServiceAsyncStub
    from engine.review.v1.review_pb2_grpc import ReviewServiceAsyncStub

_DRAWDOWN: Final = performance_pb2.METRIC_LOAN_DRAWDOWN
_INFLOW: Final = performance_pb2.METRIC_NET_EXTERNAL_INFLOW
_CLASS: Final = "LOAN_DISBURSEMENT"
_COUNTS: Final = ("receipts", "admitted", "denied_cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands at a moment: in the ledger of the loan scene, and in its review."""

    drawdown_fen: int
    ledger_fen: int
    results: int
    converted: int


class LoanFindings:
    """Hands in results as the core bank, and asks as head office."""

    def __init__(self, people: People, parts: LoanCast, feeds: Feeds, *, run: int) -> None:
        self._parts = parts
        self._feeds = feeds
        self._run = run
        self._recorder = _performance(people, SOURCE)
        self._performance = _performance(people, MAKER)
        self._review: ReviewServiceAsyncStub = review_pb2_grpc.ReviewServiceStub(
            people.as_user(MAKER, "review")
        )

    async def draw(self) -> None:
        """Each loan is drawn, and its money comes in on the customer's account."""
        now = datetime.now(UTC)
        request = performance_pb2.RecordResultsRequest(request_id=request_id())
        for token, amount_fen in self._parts.drawdowns.items():
            for metric in (_DRAWDOWN, _INFLOW):
                result = request.results.add(
                    metric=metric,
                    business_key=self._key(token),
                    customer_id=token,
                    amount_fen=amount_fen,
                    money_class=_CLASS,
                    business_date=_business_date(now),
                )
                result.occurred_time.FromDatetime(now)
        await tried(lambda: self._recorder.RecordResults(request))

    async def take_back(self) -> None:
        """Some drawdowns are reversed."""
        today = _business_date(datetime.now(UTC))
        request = performance_pb2.RecordResultsRequest(request_id=request_id())
        for token in self._parts.reversed:
            request.reversals.add(
                metric=_DRAWDOWN,
                business_key=self._key(token),
                business_date=today,
                reason="CORRECTED",
            )
        await tried(lambda: self._recorder.RecordResults(request))

    async def standing(self, *, drawdown_fen: int, converted: int) -> Standing:
        """What stands, once it is what is expected or patience ends."""

        def enough(found: Standing) -> bool:
            ledger = (found.drawdown_fen, found.ledger_fen)
            return ledger == (drawdown_fen, drawdown_fen) and found.converted == converted

        return await until(self._standing, enough)

    async def funnels(self) -> Mapping[str, int]:
        """How far the customers of the loan scene came, and the contacts of both scenes."""

        async def both() -> Mapping[str, int]:
            feeds = (self._feeds.credit, self._feeds.wealth)
            credit, wealth = [await self._funnel(feed) for feed in feeds]
            found = {name: credit.counts[name] + wealth.counts[name] for name in _COUNTS}
            stages, others = _stages(credit), _stages(wealth)
            found |= {name: stages[name] for name in ("opportunities", "tasks", "intent")}
            found["wealth_tasks"] = others["tasks"]
            found["reached"] = stages["reached"] + others["reached"]
            return found

        return await until(both, lambda found: all(found[name] == EXPECTED[name] for name in found))

    async def inflow_fen(self) -> int:
        """What those who drew were credited as money from outside the bank."""
        return await self._credited(_INFLOW, tuple(self._parts.drawdowns))

    async def reversed_fen(self) -> int:
        """What is left of the credits of those whose drawdown was reversed."""
        return await self._credited(_DRAWDOWN, self._parts.reversed)

    async def _standing(self) -> Standing:
        version = self._feeds.credit.scene_version
        request = performance_pb2.GetTotalsRequest(metric=_DRAWDOWN, scene_version=version)
        totals = await tried(lambda: self._performance.GetTotals(request))
        funnel = await self._funnel(self._feeds.credit)
        return Standing(
            drawdown_fen=totals.total_fen,
            ledger_fen=sum(owner.amount_fen for owner in totals.owners if owner.owner_id),
            results=totals.results,
            converted=_stages(funnel)["converted"],
        )

    async def _credited(
        self, metric: performance_pb2.Metric.ValueType, tokens: Sequence[int]
    ) -> int:
        async def of(token: int) -> int:
            request = performance_pb2.ListCreditsRequest(metric=metric, customer_id=token)
            answer = await tried(lambda: self._performance.ListCredits(request))
            return sum(credit.amount_fen for credit in answer.credits)

        return sum(await together(tokens, of))

    async def _funnel(self, feed: Feed) -> review_pb2.Funnel:
        request = review_pb2.GetFunnelRequest(scene_version=feed.scene_version)
        return (await tried(lambda: self._review.GetFunnel(request))).funnel

    def _key(self, token: int) -> str:
        return f"A17-{self._run}-{token}"


def _performance(people: People, username: str) -> PerformanceServiceAsyncStub:
    return performance_pb2_grpc.PerformanceServiceStub(people.as_user(username, "performance"))


def _stages(funnel: review_pb2.Funnel) -> Mapping[str, int]:
    return {stage.name: stage.count for stage in funnel.stages}


def _business_date(moment: datetime) -> str:
    return moment.astimezone(BANK_ZONE).date().isoformat()
