"""The contract of gapless numbers: messages to use cases and back."""
# ruff: noqa: ARG002 - methods are named by the contract; the transport's context goes unused

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from engine.sequencer.v1 import gapless_pb2 as pb
from engine.sequencer.v1 import gapless_pb2_grpc as pb_grpc
from engine.sequencer.v1 import sequencer_pb2
from mesh import audit, context
from mesh.clock import Clock
from mesh.paging import Page, PageRequest
from sequencer.definition import Definition, invalid
from sequencer.entry import Witness
from sequencer.gapless.claims import Asked, Claim, Held
from sequencer.gapless.numbers import Run
from sequencer.gapless.report import day_of, period_of
from sequencer.gapless.report_store import Span, SqlGaps, shown
from sequencer.gapless.service import DEFAULT_TTL, Gapless
from sequencer.messages import moment

Context = grpc.aio.ServicerContext[Any, Any]
MAX_NOTED: Final = 150
"""Characters of an audit record's object that void numbers take at most."""


class GaplessRpc(pb_grpc.GaplessServiceServicer):
    """Serves `engine.sequencer.v1.GaplessService`."""

    def __init__(self, gapless: Gapless, gaps: SqlGaps, clock: Clock) -> None:
        self._gapless = gapless
        self._gaps = gaps
        self._clock = clock

    async def ReserveNumbers(
        self, request: pb.ReserveNumbersRequest, context: Context
    ) -> pb.ReserveNumbersResponse:
        ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else DEFAULT_TTL
        return await self._gapless.reserve(
            _asked(request, request.client_id),
            request.count or 1,
            ttl,
            lambda held: pb.ReserveNumbersResponse(reservation=_reservation(held)),
        )

    async def ConfirmNumbers(
        self, request: pb.ConfirmNumbersRequest, context: Context
    ) -> pb.ConfirmNumbersResponse:
        return await self._gapless.confirm(
            _asked(request),
            _claim(request),
            lambda held: pb.ConfirmNumbersResponse(
                numbers=held.numbers, witness=_witness(held.witness)
            ),
        )

    async def ReleaseNumbers(
        self, request: pb.ReleaseNumbersRequest, context: Context
    ) -> pb.ReleaseNumbersResponse:
        return await self._gapless.release(
            _asked(request),
            _claim(request),
            lambda held: pb.ReleaseNumbersResponse(
                numbers=held.numbers, witness=_witness(held.witness)
            ),
        )

    async def VoidNumbers(
        self, request: pb.VoidNumbersRequest, context: Context
    ) -> pb.VoidNumbersResponse:
        told = ",".join(map(str, request.numbers))
        audit.note(object=f"name={request.name} numbers={told[:MAX_NOTED]}")
        return await self._gapless.void(
            Asked(name=request.name, holder=_actor()),
            request.numbers,
            request.reason,
            lambda held: pb.VoidNumbersResponse(numbers=held.numbers),
        )

    async def ListVoids(
        self, request: pb.ListVoidsRequest, context: Context
    ) -> pb.ListVoidsResponse:
        asked = PageRequest(
            listing=f"voids of {request.name}", size=request.page_size, token=request.page_token
        )
        definition = await self._gapless.known(request.name)
        (after,) = asked.after_numbers(1) or (-1,)
        found = await self._gaps.voids(definition.uid, after=after, limit=asked.limit)
        page = asked.page(found, lambda run: (run.position,))
        return pb.ListVoidsResponse(
            voids=self._runs(definition, page.entries), next_page_token=page.next_token
        )

    async def GetGapReport(
        self, request: pb.GetGapReportRequest, context: Context
    ) -> pb.GetGapReportResponse:
        definition, span = await self._period(request)
        if request.HasField("number"):
            return await self._one(definition, span, request.number)
        tally = await self._gaps.tally(definition.uid, span, self._clock.now())
        page = await self._page(definition, span, request)
        return pb.GetGapReportResponse(
            counts=[
                pb.StateCount(state=pb.NumberState.ValueType(state.value), count=count)
                for state, count in tally.counts.items()
            ],
            gaps=self._runs(definition, page.entries),
            next_page_token=page.next_token,
        )

    async def _one(
        self, definition: Definition, span: Span, number: int
    ) -> pb.GetGapReportResponse:
        """The run that a number lies in."""
        if span != Span():
            raise invalid("number", "does not go with a time")
        position = definition.position_of(number, definition.capacity)
        found = await self._gaps.at(definition.uid, position) if position is not None else ()
        return pb.GetGapReportResponse(gaps=self._runs(definition, found))

    async def _page(
        self, definition: Definition, span: Span, request: pb.GetGapReportRequest
    ) -> Page[Run]:
        what = "all" if request.all else "gaps"
        asked = PageRequest(
            listing=f"{what} of {definition.name} {span.begin} {span.end}",
            size=request.page_size,
            token=request.page_token,
        )
        behind = asked.after_numbers(1)
        if request.all:
            (before,) = behind or (definition.capacity,)
            read = self._gaps.all(definition.uid, span, before=before, limit=asked.limit)
        else:
            (after,) = behind or (-1,)
            read = self._gaps.gaps(definition.uid, span, after=after, limit=asked.limit)
        return asked.page(await read, lambda run: (run.position,))

    async def _period(self, request: pb.GetGapReportRequest) -> tuple[Definition, Span]:
        """The sequence that a report is about, and the time."""
        definition = await self._gapless.known(request.name)
        if not request.business_date:
            return definition, Span(
                begin=moment(request, "from_time"), end=moment(request, "until_time")
            )
        if request.HasField("from_time") or request.HasField("until_time"):
            raise invalid("business_date", "does not go with a time")
        try:
            day = date.fromisoformat(request.business_date)
            span = day_of(definition, day)
        except (ValueError, OverflowError):
            raise invalid("business_date", "is not a date") from None
        return await self._gapless.known(period_of(definition, day)), span

    def _runs(self, definition: Definition, runs: Sequence[Run]) -> list[pb.NumberRun]:
        now = self._clock.now()
        return [_run(definition, run, now) for run in runs]


def _asked(
    request: pb.ReserveNumbersRequest | pb.ConfirmNumbersRequest | pb.ReleaseNumbersRequest,
    client_id: str = "",
) -> Asked:
    last = request.last
    return Asked(
        name=request.name,
        holder=f"{_actor()}/{client_id}" if client_id else _actor(),
        is_believed=_is_service(),
        last=Witness(number=last.number, mark=last.mark, epoch=last.epoch, position=last.position)
        if request.HasField("last")
        else None,
    )


def _actor() -> str:
    return context.current().actor


def _is_service() -> bool:
    """Whether the caller is a service of the mesh that acts for itself."""
    present = context.current()
    return bool(present.service and not present.principal and not present.on_behalf_of)


def _claim(request: pb.ConfirmNumbersRequest | pb.ReleaseNumbersRequest) -> Claim:
    return Claim(
        reservation=request.reservation, token=request.token, numbers=tuple(request.numbers)
    )


def _reservation(held: Held) -> pb.Reservation:
    assert held.expire is not None, "a reservation has a lease"
    return pb.Reservation(
        reservation=held.reservation,
        token=held.token,
        numbers=held.numbers,
        expire_time=_timestamp(held.expire),
        witness=_witness(held.witness),
    )


def _witness(witness: Witness) -> sequencer_pb2.Witness:
    return sequencer_pb2.Witness(
        number=witness.number,
        mark=witness.mark,
        epoch=witness.epoch,
        position=witness.position,
    )


def _run(definition: Definition, run: Run, now: datetime) -> pb.NumberRun:
    return pb.NumberRun(
        first=definition.id_at(run.position),
        last=definition.id_at(run.stop - 1),
        size=run.size,
        state=pb.NumberState.ValueType(shown(run, now).value),
        holder=run.holder,
        since_time=_timestamp(run.since),
        expire_time=_timestamp(run.expire),
        reason=run.reason,
        reservation=run.reservation,
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
