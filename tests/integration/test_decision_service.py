"""The decision centre over real sockets, with the real sequencer and bus behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import grpc
import pytest
import pytest_asyncio

from centers.decision.app import BLUEPRINT
from engine.decision.v1 import decision_pb2 as pb
from engine.decision.v1 import decision_pb2_grpc
from engine.mesh.v1.bus_pb2 import PollRequest, Settled
from engine.mesh.v1.event_pb2 import AuditRecord, Event
from mesh.bus.app import BLUEPRINT as BUS
from mesh.clock import Clock, ManualClock
from mesh.errors import ErrorView
from mesh.events import RemoteBus
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "decision_pb2_grpc.DecisionServiceAsyncStub"

LARGE = 5_000_000
START = datetime.now(UTC)
KEYS = count()
CUSTOMERS = count(1)
AUTHOR, CHECKER, SOURCE = "hq001", "co001", "core"
HEAD_OFFICE = ("decision.read", "decision.write", "decision.launch")


@asynccontextmanager
async def serving(clock: Clock | None = None) -> AsyncIterator[Mesh]:
    """The centre with all that it stands on; `clock` is the centre's alone."""
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("action", {"decision.evidence", "bus.consume"})
            for blueprint in (SEQUENCER, BLUEPRINT):
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            for blueprint in (BUS, SEQUENCER):
                await mesh.start(blueprint)
            await mesh.start(BLUEPRINT, clock=clock)
            yield mesh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as mesh:
        yield mesh


def stub(mesh: Mesh, user: str, permissions: Iterable[str]) -> Stub:
    token = mesh.token(user, permissions=permissions, ttl_s=30 * 86_400)
    return decision_pb2_grpc.DecisionServiceStub(mesh.channel("decision", token=token))


@pytest.fixture
def author(mesh: Mesh) -> Stub:
    return stub(mesh, AUTHOR, HEAD_OFFICE)


@pytest.fixture
def checker(mesh: Mesh) -> Stub:
    return stub(mesh, CHECKER, HEAD_OFFICE)


@pytest.fixture
def source(mesh: Mesh) -> Stub:
    return stub(mesh, SOURCE, ["decision.ingest"])


@pytest.fixture
def action(mesh: Mesh) -> Stub:
    """Another centre, in its own name."""
    return decision_pb2_grpc.DecisionServiceStub(mesh.channel("decision", caller="action"))


def large_inflow() -> pb.Model:
    return pb.Model(
        name="large inflow within 24 h",
        event_type="core.inflow",
        filter="channel != 'TEST'",
        threshold=pb.Threshold(at_least=LARGE, own_percentile_bp=9_500, own_multiple_bp=30_000),
        exclusion_classes=["LOAN_DISBURSEMENT", "INTERNAL_OWN", "REDEMPTION"],
        scene_id=9,
    )


def inflow(customer: int, amount: int = LARGE, *, at: datetime = START) -> pb.BusinessEvent:
    made = pb.BusinessEvent(
        event_type="core.inflow",
        business_key=f"k{next(KEYS)}",
        customer_id=customer,
        numbers={"amount_fen": amount},
        texts={"class": "SALARY", "channel": "COUNTER"},
    )
    made.occurred_time.FromDatetime(at)
    return made


def reversal(event: pb.BusinessEvent) -> pb.Reversal:
    return pb.Reversal(
        event_type=event.event_type,
        business_key=event.business_key,
        occurred_time=event.occurred_time,
        reason="BOOKING_ERROR",
    )


def ingest(*events: pb.BusinessEvent) -> pb.IngestRequest:
    return pb.IngestRequest(events=events)


async def launched(author: Stub, checker: Stub, model: pb.Model) -> int:
    request = pb.DraftModelRequest(model=model, request_id=f"draft-{next(KEYS)}")
    drafted = await author.DraftModel(request)
    model_id = drafted.model.definition.definition_id
    await author.BacktestModel(pb.BacktestModelRequest(model_id=model_id))
    await author.SubmitModel(pb.SubmitModelRequest(model_id=model_id))
    live = await checker.LaunchModel(pb.LaunchModelRequest(model_id=model_id))
    assert live.model.status == pb.MODEL_STATUS_LIVE
    return model_id


@asynccontextmanager
async def live(author: Stub, checker: Stub, model: pb.Model) -> AsyncIterator[int]:
    """A model that is live for a test, and leaves the events of others alone."""
    model_id = await launched(author, checker, model)
    try:
        yield model_id
    finally:
        found = await author.GetModel(pb.GetModelRequest(model_id=model_id))
        if found.model.status == pb.MODEL_STATUS_LIVE:
            await checker.PauseModel(pb.PauseModelRequest(model_id=model_id))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model_id(mesh: Mesh) -> int:
    """The model that most tests look at, live."""
    author, checker = stub(mesh, AUTHOR, HEAD_OFFICE), stub(mesh, CHECKER, HEAD_OFFICE)
    return await launched(author, checker, large_inflow())


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


class Listener:
    """What another centre hears of a topic, from its beginning on."""

    def __init__(self, mesh: Mesh, topic: str, group: str) -> None:
        self._bus = RemoteBus(mesh.channel("bus", caller="action"))
        self._topic, self._group, self._position = topic, group, 0

    async def until(self, key: str, message: type[Any]) -> Event:
        """The next event of that key and type."""
        async with asyncio.timeout(20):
            while True:
                request = PollRequest(
                    group=self._group,
                    topic=self._topic,
                    member="one",
                    max_events=1,
                    settled=Settled(position=self._position),
                )
                request.wait.FromTimedelta(timedelta(seconds=1))
                for logged in (await self._bus.poll(request)).events:
                    self._position = logged.position
                    event = logged.event
                    if event.type == message.DESCRIPTOR.full_name and event.key == key:
                        return event


async def test_trigger_and_its_reversal_reach_the_bus(
    mesh: Mesh, source: Stub, action: Stub, model_id: int
) -> None:
    """In order, under the customer, with the chain; the amount is answered to a centre alone."""
    customer = next(CUSTOMERS)
    event = inflow(customer, LARGE + 7)
    answer = await source.Ingest(ingest(event, event))
    assert (answer.received, answer.duplicates, answer.stored, answer.fired) == (2, 1, 1, 1)
    await source.Ingest(pb.IngestRequest(reversals=[reversal(event)]))
    listener = Listener(mesh, "decision", "triggers")
    fired = await listener.until(str(customer), pb.TriggerFired)
    undone = await listener.until(str(customer), pb.TriggerReversed)
    trigger = pb.TriggerFired.FromString(fired.payload).trigger
    assert (trigger.model_id, trigger.model_version, trigger.scene_id) == (model_id, 1, 9)
    assert fired.chain.trigger_id == undone.chain.trigger_id == trigger.trigger_id
    assert (fired.source, fired.actor) == ("decision", SOURCE)
    assert pb.TriggerReversed.FromString(undone.payload).reason == "BOOKING_ERROR"
    found = await action.GetTrigger(pb.GetTriggerRequest(trigger_id=trigger.trigger_id))
    assert (found.amount_fen, found.trigger.reversed) == (LARGE + 7, True)
    assert found.texts["class"] == "SALARY"


async def test_evidence_is_for_centres_alone(author: Stub, model_id: int) -> None:
    """No user has the permission, whatever his role."""
    refused = await refusal(author.GetTrigger(pb.GetTriggerRequest(trigger_id=1)))
    assert refused.code is grpc.StatusCode.PERMISSION_DENIED


async def test_author_cannot_launch_his_model(author: Stub, checker: Stub) -> None:
    """X9: the mesh refuses, and another person may."""
    drafted = await author.DraftModel(pb.DraftModelRequest(model=large_inflow()))
    model_id = drafted.model.definition.definition_id
    early = await refusal(author.SubmitModel(pb.SubmitModelRequest(model_id=model_id)))
    assert early.reason == "BACKTEST_NEEDED"
    await author.BacktestModel(pb.BacktestModelRequest(model_id=model_id, days=1))
    await author.SubmitModel(pb.SubmitModelRequest(model_id=model_id))
    own = await refusal(author.LaunchModel(pb.LaunchModelRequest(model_id=model_id)))
    assert own.reason == "CHECKER_IS_MAKER"
    request = pb.LaunchModelRequest(model_id=model_id, request_id="launch-once")
    first = await checker.LaunchModel(request)
    assert await checker.LaunchModel(request) == first
    await checker.PauseModel(pb.PauseModelRequest(model_id=model_id))


async def test_nothing_fires_after_pause_has_answered(
    source: Stub, author: Stub, checker: Stub
) -> None:
    """X14: requests that race with the pause fire before it or not at all."""
    async with live(author, checker, large_inflow()) as model_id:

        async def hand_in() -> int:
            events = [inflow(next(CUSTOMERS)) for _ in range(20)]
            await source.Ingest(ingest(*events))
            page = await author.ListTriggers(
                pb.ListTriggersRequest(model_id=model_id, page_size=1_000)
            )
            return len(page.triggers)

        racing = [asyncio.create_task(hand_in()) for _ in range(8)]
        await racing[0]
        await checker.PauseModel(pb.PauseModelRequest(model_id=model_id))
        listing = pb.ListTriggersRequest(model_id=model_id, page_size=1_000)
        fired = await author.ListTriggers(listing)
        await asyncio.gather(*racing, hand_in(), hand_in())
        assert await author.ListTriggers(listing) == fired
        assert len(fired.triggers) >= 20


async def test_triggers_are_listed_newest_first_in_pages(
    source: Stub, author: Stub, model_id: int
) -> None:
    """Each once."""
    customers = [next(CUSTOMERS) for _ in range(5)]
    for customer in customers:
        await source.Ingest(ingest(inflow(customer)))
    listed: list[int] = []
    request = pb.ListTriggersRequest(model_id=model_id, page_size=2)
    while len(listed) < 5:
        page = await author.ListTriggers(request)
        listed += [trigger.customer_id for trigger in page.triggers]
        request.page_token = page.next_page_token
    assert listed[:5] == customers[::-1]


async def test_faulty_request_names_its_places(source: Stub) -> None:
    """And stores nothing."""
    wrong = inflow(next(CUSTOMERS), at=START + timedelta(days=2))
    unknown = inflow(next(CUSTOMERS))
    unknown.numbers["fee_fen"] = 1
    refused = await refusal(source.Ingest(ingest(inflow(1), wrong, unknown)))
    assert refused.reason == "TIME_INVALID"
    places = [violation.field for violation in refused.violations]
    assert places == ["events[1].occurred_time", "events[2].numbers[fee_fen]"]


async def test_filter_that_cannot_be_read_is_refused_with_its_position(author: Stub) -> None:
    """Before a draft is made."""
    model = large_inflow()
    model.filter = "amount_fen >= 5 &&"
    refused = await refusal(author.DraftModel(pb.DraftModelRequest(model=model)))
    assert (refused.reason, refused.metadata["position"]) == ("FILTER_INVALID", "19")


async def test_draft_is_replaced_while_its_etag_holds(author: Stub) -> None:
    """AIP-154, over the wire; and the newest comes first in the list."""
    drafted = await author.DraftModel(pb.DraftModelRequest(model=large_inflow()))
    head = drafted.model.definition
    model = large_inflow()
    model.name = "another name"
    model.definition.etag = head.etag
    request = pb.UpdateModelRequest(model_id=head.definition_id, model=model)
    changed = await author.UpdateModel(request)
    assert changed.model.name == "another name"
    refused = await refusal(author.UpdateModel(request))
    assert refused.reason == "DEFINITION_ETAG_MISMATCH"
    listed = await author.ListModels(pb.ListModelsRequest(page_size=1))
    assert list(listed.models) == [changed.model]
    read = await author.GetModel(pb.GetModelRequest(model_id=head.definition_id))
    assert read.model == changed.model


async def test_backtest_and_live_come_to_the_same_and_customers_are_paged(
    mesh: Mesh, source: Stub, author: Stub, checker: Stub, action: Stub
) -> None:
    """A9 in small, by the contract alone: history first, then a day live, then the backtest."""
    async with live(author, checker, large_inflow()) as model_id:
        customers = [next(CUSTOMERS) for _ in range(6)]
        events = [
            inflow(customer, LARGE * (1 + (day * position) % 7), at=START - timedelta(days=day))
            for position, customer in enumerate(customers)
            for day in range(30, 0, -1)
        ]
        for start in range(30):
            await source.Ingest(ingest(*events[start::30], *events[start::60]))
        found = await author.BacktestModel(pb.BacktestModelRequest(model_id=model_id, days=90))
        counted = await author.GetModelStatistics(pb.GetModelStatisticsRequest(model_id=model_id))
        mine = await author.ListTriggers(pb.ListTriggersRequest(model_id=model_id, page_size=1_000))
        assert counted.statistics.received == 270
        assert counted.statistics.duplicates == 90
        fired = {(t.customer_id, t.business_key) for t in mine.triggers}
        assert 6 < len(fired) < 180
        # The store also holds what other tests handed in: the backtest sees all of it.
        assert found.backtest.statistics.unique >= 180
        answered: list[int] = []
        request = pb.ListBacktestCustomersRequest(
            backtest_id=found.backtest.backtest_id, page_size=2
        )
        while True:
            page = await action.ListBacktestCustomers(request)
            answered += page.customer_ids
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert answered == sorted(set(answered))
        assert {customer for customer, _ in fired} == {*answered} & {*customers}
        assert (page.days, page.model_id, page.scene_id) == (90, model_id, 9)
        by_day = {day.day: day.triggers for day in found.backtest.days}
        assert sum(by_day.values()) == found.backtest.statistics.verdicts["VERDICT_FIRED"]


async def test_why_not_shows_no_amount_and_is_recorded(
    mesh: Mesh, source: Stub, author: Stub, model_id: int
) -> None:
    """X13: who looked at whose decisions."""
    customer = next(CUSTOMERS)
    await source.Ingest(ingest(inflow(customer, 4_242_424)))
    request = pb.WhyNotRequest(model_id=model_id, customer_id=customer)
    (decision,) = (await author.WhyNot(request)).decisions
    assert decision.verdict == pb.VERDICT_BELOW_ABSOLUTE
    assert list(decision.path) == [
        "channel != 'TEST': 'COUNTER' → true",
        f"amount_fen >= {LARGE} → false",
    ]
    listener, record = Listener(mesh, "audit", "records"), AuditRecord()
    while record.customer_id != customer:  # records have no key
        record = AuditRecord.FromString((await listener.until("", AuditRecord)).payload)
    assert (record.actor, record.customer_id) == (AUTHOR, customer)
    assert record.verb.endswith("/WhyNot")


async def test_offer_viewed_and_not_drawn_for_three_days_fires() -> None:
    """A17: by a clock that is moved; who drew in time is left alone."""
    clock = ManualClock(START)
    model = pb.Model(name="not drawn", event_type="loan.offer_viewed", scene_id=4)
    model.absence.event_type = "loan.drawdown"
    model.absence.within.FromTimedelta(timedelta(days=3))
    async with serving(clock) as mesh:
        author, checker = stub(mesh, AUTHOR, HEAD_OFFICE), stub(mesh, CHECKER, HEAD_OFFICE)
        source = stub(mesh, SOURCE, ["decision.ingest"])
        model_id = await launched(author, checker, model)
        stayed, drew = next(CUSTOMERS), next(CUSTOMERS)
        viewed = [event("loan.offer_viewed", each, START, offer_id=1) for each in (stayed, drew)]
        assert (await source.Ingest(ingest(*viewed))).fired == 0
        drawn = event("loan.drawdown", drew, START + timedelta(minutes=4), amount_fen=1)
        await source.Ingest(ingest(drawn))
        clock.advance(3 * 86_400 + 1)
        told = await Listener(mesh, "decision", "waits").until(str(stayed), pb.TriggerFired)
        trigger = pb.TriggerFired.FromString(told.payload).trigger
        assert (trigger.model_id, trigger.scene_id) == (model_id, 4)
        assert trigger.business_key == viewed[0].business_key
        assert told.chain.trigger_id == trigger.trigger_id
        request = pb.GetModelStatisticsRequest(model_id=model_id)
        found = (await author.GetModelStatistics(request)).statistics
        assert dict(found.verdicts) == {"VERDICT_FIRED": 1, "VERDICT_ENDED_BY_EVENT": 1}


def event(kind: str, customer: int, at: datetime, **numbers: int) -> pb.BusinessEvent:
    made = pb.BusinessEvent(
        event_type=kind, business_key=f"k{next(KEYS)}", customer_id=customer, numbers=numbers
    )
    made.occurred_time.FromDatetime(at)
    return made
