"""Gapless numbers over real sockets and the real chain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.sequencer.v1 import gapless_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh import ErrorView
from mesh.clock import ManualClock, SystemClock
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from sequencer.gapless.recent import KEPT_S

if TYPE_CHECKING:
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceAsyncStub as Stub

RIGHTS = {
    "sequencer.read",
    "sequencer.create",
    "sequencer.reserve",
    "sequencer.void",
    "sequencer.operate",
}
NAME = "loan.contract"
DAY_S = 86_400


class Clock(ManualClock):
    """Moves by `advance` alone; tasks sleep by the machine's."""

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stub(mesh: Mesh, clock: Clock) -> Stub:
    """The service with one GAPLESS sequence, called by another service for itself."""
    mesh.trust("loan", RIGHTS)
    await mesh.start(BLUEPRINT, clock=clock)
    await create(mesh, NAME)
    return GaplessServiceStub(mesh.channel("sequencer", caller="loan"))


def definitions(mesh: Mesh) -> Any:
    return SequencerServiceStub(mesh.channel("sequencer", caller="loan"))


async def create(mesh: Mesh, name: str, **settings: Any) -> None:
    wanted = sequencer_pb2.Sequence(name=name, kind=sequencer_pb2.SEQUENCE_KIND_GAPLESS, **settings)
    await definitions(mesh).CreateSequence(sequencer_pb2.CreateSequenceRequest(sequence=wanted))


async def reserve(stub: Stub, count: int = 1, *, name: str = NAME, **more: Any) -> pb.Reservation:
    request = pb.ReserveNumbersRequest(name=name, count=count, client_id="a", **more)
    return (await stub.ReserveNumbers(request)).reservation


async def confirm(
    stub: Stub, held: pb.Reservation, *numbers: int, name: str = NAME, **more: Any
) -> list[int]:
    request = pb.ConfirmNumbersRequest(
        name=name, reservation=held.reservation, token=held.token, numbers=numbers, **more
    )
    return [*(await stub.ConfirmNumbers(request)).numbers]


async def release(stub: Stub, held: pb.Reservation, *numbers: int) -> list[int]:
    request = pb.ReleaseNumbersRequest(
        name=NAME, reservation=held.reservation, token=held.token, numbers=numbers
    )
    return [*(await stub.ReleaseNumbers(request)).numbers]


async def void(stub: Stub, *numbers: int, reason: str = "form spoiled") -> list[int]:
    request = pb.VoidNumbersRequest(name=NAME, numbers=numbers, reason=reason)
    return [*(await stub.VoidNumbers(request)).numbers]


async def report(stub: Stub, **more: Any) -> pb.GetGapReportResponse:
    return await stub.GetGapReport(pb.GetGapReportRequest(name=NAME, **more))


def counts(found: pb.GetGapReportResponse) -> dict[str, int]:
    """What a report counts, by the words of its states."""
    return {
        pb.NumberState.Name(one.state).removeprefix("NUMBER_STATE_"): one.count
        for one in found.counts
        if one.count
    }


async def failure(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return ErrorView.from_rpc(caught.value)


async def test_a_number_is_reserved_and_used(stub: Stub) -> None:
    """Reserve, confirm; confirming again answers the same."""
    held = await reserve(stub, ttl=timedelta(seconds=30))

    assert [*held.numbers] == [1]
    assert held.expire_time.seconds > 0
    for _ in range(2):
        assert await confirm(stub, held) == [1]
    assert counts(await report(stub)) == {"CONFIRMED": 1}


async def test_the_same_request_reserves_once(stub: Stub) -> None:
    """After a lost answer the caller asks again with its request id; another request is refused."""
    first = await reserve(stub, 2, request_id="order-17")

    assert await reserve(stub, 2, request_id="order-17") == first
    assert [*(await reserve(stub, request_id="order-18")).numbers] == [3]
    reused = await failure(reserve(stub, 3, request_id="order-17"))
    assert reused.reason == "REQUEST_ID_REUSED"


async def test_many_callers_share_no_number(stub: Stub) -> None:
    """Sixty-four at once: each number is used once or free, and none is missing."""

    async def caller(place: int) -> list[int]:
        used: list[int] = []
        for turn in range(5):
            held = await reserve(stub, place % 3 + 1, request_id=f"r{place}.{turn}")
            if (place + turn) % 4:
                used += await confirm(stub, held)
            else:
                await release(stub, held)
        return used

    used = [number for some in await asyncio.gather(*map(caller, range(64))) for number in some]

    assert len(used) == len(set(used))
    found = await report(stub)
    issued = max([*used, *(run.last for run in found.gaps)])
    free = {n for run in found.gaps for n in range(run.first, run.last + 1)}
    assert {*used} | free == {*range(1, issued + 1)}
    assert not {*used} & free
    assert counts(found).get("CONFIRMED") == len(used)


async def test_a_late_confirm_is_told_why_it_is_refused(stub: Stub, clock: Clock) -> None:
    """The number has gone to somebody else: the reason, in two languages, and what to do."""
    late = await reserve(stub, ttl=timedelta(seconds=5))
    clock.advance(5)
    await reserve(stub)

    refused = await failure(confirm(stub, late))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NUMBERS_NOT_HELD",
    )
    assert refused.next_step
    assert refused.titles["zh-CN"] == "该预留不再持有这些号码"


async def test_void_numbers_are_listed(stub: Stub) -> None:
    """Who voided what, why; pages follow each other."""
    held = await reserve(stub, 5)
    await void(stub, 1, 3)
    await void(stub, 5, reason="printed twice")

    assert (await failure(confirm(stub, held))).reason == "NUMBERS_VOID"
    listed: list[pb.NumberRun] = []
    request = pb.ListVoidsRequest(name=NAME, page_size=2)
    while True:
        page = await stub.ListVoids(request)
        listed += page.voids
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert [(run.first, run.last, run.reason, run.holder) for run in listed] == [
        (1, 1, "form spoiled", "mesh:loan"),
        (3, 3, "form spoiled", "mesh:loan"),
        (5, 5, "printed twice", "mesh:loan"),
    ]


async def test_the_report_accounts_for_every_number(stub: Stub, clock: Clock) -> None:
    """Each state is counted; what is not confirmed has its holder and the time."""
    used, lapsed = await reserve(stub, 2), await reserve(stub, 1, ttl=timedelta(seconds=5))
    back, spoiled = await reserve(stub, 3), await reserve(stub, 1)
    await confirm(stub, used)
    await void(stub, *spoiled.numbers)
    clock.advance(5)
    await release(stub, back, 5)

    found = await report(stub)

    assert counts(found) == {"CONFIRMED": 2, "EXPIRED": 1, "RESERVED": 2, "RELEASED": 1, "VOID": 1}
    states = [(run.first, run.last, run.state, run.holder, run.reservation) for run in found.gaps]
    assert states == [
        (3, 3, pb.NUMBER_STATE_EXPIRED, "mesh:loan/a", lapsed.reservation),
        (4, 4, pb.NUMBER_STATE_RESERVED, "mesh:loan/a", back.reservation),
        (5, 5, pb.NUMBER_STATE_RELEASED, "mesh:loan/a", 0),
        (6, 6, pb.NUMBER_STATE_RESERVED, "mesh:loan/a", back.reservation),
        (7, 7, pb.NUMBER_STATE_VOID, "mesh:loan", spoiled.reservation),
    ]
    assert all(run.since_time.seconds for run in found.gaps)


async def test_a_report_of_a_day_leaves_out_what_others_settled(stub: Stub, clock: Clock) -> None:
    """Of the business date, in the bank's zone: what was used that day, and all that is open."""
    await confirm(stub, await reserve(stub, 2))
    await reserve(stub, 1, ttl=timedelta(days=1))
    clock.advance(86_399)
    await confirm(stub, await reserve(stub, 1))

    assert counts(await report(stub, business_date="2026-01-01")) == {"CONFIRMED": 2, "RESERVED": 1}
    assert counts(await report(stub, business_date="2026-01-02")) == {"CONFIRMED": 1, "RESERVED": 1}
    refused = await failure(report(stub, business_date="2026-02-30"))
    assert refused.violations[0].field == "business_date"


async def test_each_period_of_a_serial_has_numbers_of_its_own(mesh: Mesh, stub: Stub) -> None:
    """Two business days are open side by side; a report of a date is about its numbers alone."""
    format_ = sequencer_pb2.SerialFormat(
        template="LN{date:%Y%m%d}{number:06}",
        zone="Asia/Shanghai",
        reset=sequencer_pb2.SERIAL_RESET_DAY,
    )
    await create(mesh, "loan.serial", serial=format_)
    days = ["loan.serial@20261126", "loan.serial@20261127"]

    for name in (*days, days[0]):
        held = await reserve(stub, name=name, request_id=name.replace("@", "."))
        assert [*held.numbers] == [1]
    await confirm(stub, held, name=days[0])

    request = pb.GetGapReportRequest(name="loan.serial", business_date="2026-11-26")
    assert counts(await stub.GetGapReport(request)) == {"CONFIRMED": 1}
    request.business_date = "2026-11-28"
    assert (await failure(stub.GetGapReport(request))).reason == "SEQUENCE_NOT_FOUND"


async def test_other_kinds_have_no_such_numbers(stub: Stub, mesh: Mesh) -> None:
    """A SEGMENT sequence is refused by name of its kind."""
    wanted = sequencer_pb2.Sequence(name="shop.order")
    request = sequencer_pb2.CreateSequenceRequest(sequence=wanted)
    await definitions(mesh).CreateSequence(request)

    refused = await failure(reserve(stub, name="shop.order"))
    assert (refused.reason, refused.metadata["kind"]) == ("KIND_MISMATCH", "SEGMENT")


@pytest.mark.parametrize(
    ("kind", "callers", "reason"),
    [("SEGMENT", [], "KIND_MISMATCH"), ("GAPLESS", ["nobody"], "CALLER_NOT_ALLOWED")],
)
async def test_who_is_refused_makes_no_period(
    stub: Stub, mesh: Mesh, kind: str, callers: list[str], reason: str
) -> None:
    """Neither of a serial of another kind, nor of one that is for others."""
    wanted = sequencer_pb2.Sequence(
        name="shop.bill",
        kind=sequencer_pb2.SequenceKind.Value(f"SEQUENCE_KIND_{kind}"),
        callers=[sequencer_pb2.Caller(name=one) for one in callers],
    )
    wanted.serial.template, wanted.serial.zone = "{date:%Y%m%d}{number:06}", "UTC"
    wanted.serial.reset = sequencer_pb2.SERIAL_RESET_DAY
    await definitions(mesh).CreateSequence(sequencer_pb2.CreateSequenceRequest(sequence=wanted))

    refused = await failure(reserve(stub, name="shop.bill@20261126"))

    assert refused.reason == reason
    listed = await definitions(mesh).ListSequences(sequencer_pb2.ListSequencesRequest())
    assert "shop.bill@20261126" not in {one.name for one in listed.sequences}


async def test_a_draining_sequence_reserves_no_more(stub: Stub, mesh: Mesh, clock: Clock) -> None:
    """What is out is confirmed as before."""
    held = await reserve(stub, request_id="first")
    request = sequencer_pb2.SetSequenceStateRequest(
        name=NAME, state=sequencer_pb2.SEQUENCE_STATE_DRAINING
    )
    await definitions(mesh).SetSequenceState(request)
    clock.advance(KEPT_S)

    assert (await failure(reserve(stub))).reason == "SEQUENCE_CLOSED"
    assert await reserve(stub, request_id="first") == held
    assert await confirm(stub, held) == [1]


async def test_a_user_is_not_believed(stub: Stub, mesh: Mesh) -> None:
    """Only a service that acts for itself moves a sequence by what it says it has seen."""
    await reserve(stub)
    claim = sequencer_pb2.Witness(number=99, mark=1, epoch=0, position=500)
    token = mesh.token("ops", permissions=RIGHTS)
    user = GaplessServiceStub(mesh.channel("sequencer", token=token))

    assert (await failure(reserve(user, last=claim))).reason == "FENCE_REFUSED"
    assert [*(await reserve(user)).numbers] == [2]
    assert [*(await reserve(stub, last=claim)).numbers] == [501]
    assert counts(await report(stub)) == {"LOST_TRACK": 500, "RESERVED": 1}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"count": 1_001}, "count"),
        ({"count": -1}, "count"),
        ({"ttl": timedelta(milliseconds=10)}, "ttl"),
        ({"ttl": timedelta(days=2)}, "ttl"),
        ({"request_id": "not allowed"}, "request_id"),
    ],
)
async def test_impossible_wishes_are_refused(stub: Stub, fields: Any, named: str) -> None:
    """The bounds stand in the contract."""
    request = pb.ReserveNumbersRequest(name=NAME, client_id="a", **fields)

    assert (await failure(stub.ReserveNumbers(request))).violations[0].field == named


async def test_each_method_needs_its_right(mesh: Mesh, stub: Stub) -> None:
    """Users reserve with one right, void with another, and look with a third."""
    held = pb.Reservation(reservation=1, token=1)

    def calls(by: Stub) -> dict[str, list[Awaitable[Any]]]:
        return {
            "sequencer.reserve": [reserve(by), confirm(by, held), release(by, held)],
            "sequencer.void": [void(by, 1)],
            "sequencer.read": [
                report(by),
                by.ListVoids(pb.ListVoidsRequest(name=NAME)),
            ],
        }

    for permission in ("sequencer.reserve", "sequencer.void", "sequencer.read"):
        token = mesh.token("ops", permissions={permission})
        user = GaplessServiceStub(mesh.channel("sequencer", token=token))
        for needed, group in calls(user).items():
            for call in group:
                try:
                    await call
                    allowed = True
                except grpc.aio.AioRpcError as error:
                    allowed = error.code() is not grpc.StatusCode.PERMISSION_DENIED
                assert allowed == (needed == permission)


async def test_a_report_of_a_time_outside_the_calendar_is_refused(stub: Stub) -> None:
    """The field is named; nothing breaks."""
    request = pb.GetGapReportRequest(name=NAME)
    request.from_time.seconds = 2**60
    refused = await failure(stub.GetGapReport(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in refused.violations] == ["from_time"]


async def test_a_confirmed_number_is_told_of(stub: Stub, clock: Clock) -> None:
    """In a dispute: who has it, since when, by which reservation; also of what nobody ever got."""
    await reserve(stub, 2, ttl=timedelta(seconds=5))
    clock.advance(5)
    held = await reserve(stub, 3)
    clock.advance(2)
    await confirm(stub, held, 1, 2)

    (run,) = (await report(stub, number=2)).gaps

    assert (run.first, run.last, run.state) == (1, 2, pb.NUMBER_STATE_CONFIRMED)
    assert (run.holder, run.reservation) == ("mesh:loan/a", held.reservation)
    assert run.since_time.ToDatetime(UTC) == clock.now()
    assert (await report(stub, number=3)).gaps[0].state == pb.NUMBER_STATE_RESERVED
    assert not (await report(stub, number=4)).gaps
    assert not (await report(stub, number=0)).gaps
    late = pb.GetGapReportRequest(name=NAME, number=2)
    late.from_time.FromSeconds(1)
    assert (await failure(stub.GetGapReport(late))).reason == "INVALID_ARGUMENT"


async def test_all_numbers_are_told_of_the_last_first(stub: Stub) -> None:
    """Confirmed or not; pages follow each other."""
    for count in (1, 2, 1):
        await confirm(stub, await reserve(stub, count))
    await reserve(stub)

    first = await report(stub, all=True, page_size=2)
    second = await report(stub, all=True, page_size=2, page_token=first.next_page_token)

    told = [(run.first, run.last) for run in (*first.gaps, *second.gaps)]
    assert told == [(5, 5), (4, 4), (2, 3), (1, 1)]
    assert not second.next_page_token


async def test_a_sequence_tells_how_far_its_numbers_are(
    mesh: Mesh, stub: Stub, clock: Clock
) -> None:
    """What is next and left is that of its numbers, at their pace; its log has none of them."""
    await create(mesh, "small.one", max_value=10)
    ask = sequencer_pb2.GetSequenceRequest(name="small.one")
    fresh = (await definitions(mesh).GetSequence(ask)).sequence
    assert (fresh.next_value, fresh.remaining, fresh.lease_number) == (1, 10, 0)
    assert not fresh.HasField("days_left")

    clock.advance(8 * DAY_S)
    held = await reserve(stub, 2, name="small.one")
    await confirm(stub, held, name="small.one")
    clock.advance(8 * DAY_S)
    await confirm(stub, await reserve(stub, 4, name="small.one"), name="small.one")
    found = (await definitions(mesh).GetSequence(ask)).sequence

    assert (found.next_value, found.remaining, found.lease_number) == (7, 4, 4)
    assert found.days_left == pytest.approx(7)
    await reserve(stub, 4, name="small.one")
    last = (await definitions(mesh).GetSequence(ask)).sequence
    assert not last.HasField("next_value")
    assert (last.remaining, last.days_left) == (0, 0)


async def test_the_ends_of_the_calendar_are_no_failures(mesh: Mesh, stub: Stub) -> None:
    """The last day ends beyond it, so it is refused; a period of the year 999 is one unmade."""
    assert not counts(await report(stub, business_date="0001-01-01"))
    last = await failure(report(stub, business_date="9999-12-31"))
    assert last.violations[0].field == "business_date"
    serial = sequencer_pb2.SerialFormat(
        template="L{date:%Y%m%d}{number:04}", reset=sequencer_pb2.SERIAL_RESET_DAY
    )
    await create(mesh, "loan.serial", serial=serial)
    ask = pb.GetGapReportRequest(name="loan.serial", business_date="0999-01-01")
    assert (await failure(stub.GetGapReport(ask))).reason == "SEQUENCE_NOT_FOUND"
