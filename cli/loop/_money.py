"""What the core bank hands in: the inflows, their reversals, and the money that stayed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from bank.inflow import Cast, Inflow
from cli.loop._strategy import channel_of
from cli.loop.people import People, request_id, slices, tried
from cli.loop.strategies import INFLOW, SOURCE, inflow_event
from engine.decision.v1 import decision_pb2, decision_pb2_grpc
from engine.performance.v1 import performance_pb2, performance_pb2_grpc

if TYPE_CHECKING:
    from engine.decision.v1.decision_pb2_grpc import DecisionServiceAsyncStub
    from engine.performance.v1.performance_pb2_grpc import PerformanceServiceAsyncStub

BATCH: Final = 500
_MINUTES: Final = 10


class CoreBank:
    """The system that money moves in, for one run."""

    def __init__(self, people: People, parts: Cast, *, run: int) -> None:
        self._parts = parts
        self._run = run
        self._decision: DecisionServiceAsyncStub = decision_pb2_grpc.DecisionServiceStub(
            people.as_user(SOURCE, "decision")
        )
        self._performance: PerformanceServiceAsyncStub = (
            performance_pb2_grpc.PerformanceServiceStub(people.as_user(SOURCE, "performance"))
        )

    async def inject(self) -> None:
        """Hand in all inflows, some of them twice, some with their reversal."""
        random, now = Random(self._run), datetime.now(UTC)  # noqa: S311 - a fixture
        events = [
            self._event(inflow, now - timedelta(minutes=random.uniform(0, _MINUTES)))
            for inflow in self._parts.inflows
        ]
        again = [event for event in events if event.customer_id in self._parts.repeated]
        for batch in slices([*events, *again], BATCH):
            reversals = [
                self._reversal(event.customer_id)
                for event in batch
                if event.customer_id in self._parts.reversed_before
            ]
            request = decision_pb2.IngestRequest(
                events=batch, reversals=reversals, request_id=request_id()
            )
            await self._ingest(request)

    async def take_back(self) -> None:
        """Reverse inflows that have become tasks."""
        reversals = [self._reversal(token) for token in self._parts.reversed_after]
        await self._ingest(decision_pb2.IngestRequest(reversals=reversals, request_id=request_id()))

    async def settle(self) -> None:
        """Hand in the money that stayed, of those who were treated and those who were not."""
        await self._record([*self._parts.results, *self._parts.holdout_results])

    async def _record(self, results: Sequence[Inflow]) -> None:
        now = datetime.now(UTC)
        request = performance_pb2.RecordResultsRequest(request_id=request_id())
        for result in results:
            added = request.results.add(
                metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW,
                business_key=f"R-{self._run}-{result.customer_id}",
                customer_id=result.customer_id,
                amount_fen=result.amount_fen,
                money_class=result.money_class,
                business_date=(now + timedelta(hours=8)).date().isoformat(),
            )
            added.occurred_time.FromDatetime(now)
        await tried(lambda: self._performance.RecordResults(request))

    async def _ingest(self, request: decision_pb2.IngestRequest) -> None:
        await tried(lambda: self._decision.Ingest(request, timeout=30))

    def _event(self, inflow: Inflow, at: datetime) -> decision_pb2.BusinessEvent:
        return inflow_event(
            self._key(inflow.customer_id),
            inflow.customer_id,
            inflow.amount_fen,
            money_class=inflow.money_class,
            channel=channel_of(self._run),
            at=at,
        )

    def _reversal(self, token: int) -> decision_pb2.Reversal:
        reversal = decision_pb2.Reversal(
            event_type=INFLOW, business_key=self._key(token), reason="CORRECTED"
        )
        reversal.occurred_time.FromDatetime(datetime.now(UTC))
        return reversal

    def _key(self, token: int) -> str:
        return f"A1-{self._run}-{token}"
