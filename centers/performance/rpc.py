"""The performance centre's contract: messages to use cases and back."""

from __future__ import annotations

from centers.performance import wire
from centers.performance.domain import Metric
from centers.performance.explanation import explain
from centers.performance.reading import Adder, Filter, Ledger, OwnerSum, Span
from centers.performance.recording import Handed, Outcome, Recording
from centers.performance.scope import Reach
from engine.performance.v1 import performance_pb2, performance_pb2_grpc
from mesh import context
from mesh.audit import note
from mesh.paging import PageRequest


class PerformanceRpc(performance_pb2_grpc.PerformanceServiceServicer):
    """Serves `engine.performance.v1.PerformanceService`."""

    def __init__(self, recording: Recording, sums: Adder, ledger: Ledger) -> None:
        self._recording = recording
        self._sums = sums
        self._ledger = ledger

    async def RecordResults(
        self, request: performance_pb2.RecordResultsRequest, _: object
    ) -> performance_pb2.RecordResultsResponse:
        handed = Handed(
            facts=[wire.fact(one) for one in request.results],
            reversals=[wire.reversal(one) for one in request.reversals],
        )
        return await self._recording.record(handed, _outcome)

    async def GetTotals(
        self, request: performance_pb2.GetTotalsRequest, _: object
    ) -> performance_pb2.GetTotalsResponse:
        span = Span(
            metric=Metric(request.metric),
            start=request.start_date,
            end=request.end_date,
            scene_version=request.scene_version,
        )
        found = await self._sums.totals(span, Reach.of(context.current()))
        return performance_pb2.GetTotalsResponse(
            total_fen=found.total_fen,
            unallocated_fen=found.unallocated_fen,
            owners=map(_owner, found.owners),
            results=found.results,
            split_customers=found.split_customers,
        )

    async def ListCredits(
        self, request: performance_pb2.ListCreditsRequest, _: object
    ) -> performance_pb2.ListCreditsResponse:
        wanted = Filter(
            metric=Metric(request.metric),
            owner_id=request.owner_id,
            customer_id=request.customer_id,
        )
        listing = PageRequest(
            listing=f"credits\n{request.metric}\n{request.owner_id}\n{request.customer_id}",
            size=request.page_size,
            token=request.page_token,
        )
        page = await self._ledger.page(wanted, Reach.of(context.current()), listing)
        return performance_pb2.ListCreditsResponse(
            credits=map(wire.credit, page.entries), next_page_token=page.next_token
        )

    async def ExplainNumber(
        self, request: performance_pb2.ExplainNumberRequest, _: object
    ) -> performance_pb2.ExplainNumberResponse:
        entry, result, entries = await self._ledger.story(request.credit_id)
        chain = wire.chain(entry.chain, entry.credit_id)
        note(customer_id=entry.customer_id, chain=chain)
        return performance_pb2.ExplainNumberResponse(
            credit=wire.credit(entry),
            result=wire.result(result),
            entries=map(wire.credit, entries),
            steps=explain(result, entries),
        )


def _outcome(found: Outcome) -> performance_pb2.RecordResultsResponse:
    return performance_pb2.RecordResultsResponse(
        received=found.received,
        duplicates=found.duplicates,
        recorded=found.recorded,
        reversed=found.reversed,
        credits=found.credits,
    )


def _owner(found: OwnerSum) -> performance_pb2.OwnerTotal:
    return performance_pb2.OwnerTotal(
        owner_id=found.owner_id,
        branch_id=found.branch_id,
        amount_fen=found.amount_fen,
        results=found.results,
    )
