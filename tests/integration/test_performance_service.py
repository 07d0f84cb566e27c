"""The performance centre over real sockets, with the real customer centre, sequencer and bus.

The action and reach centres are played by their events, told to the bus in their names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from centers.customer.app import BLUEPRINT as CUSTOMER
from centers.performance.app import BLUEPRINT
from engine.action.v1 import action_pb2
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import bus_pb2, bus_pb2_grpc, ownership_pb2, policy_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.performance.v1 import performance_pb2, performance_pb2_grpc
from engine.reach.v1 import reach_pb2
from mesh.bus.app import BLUEPRINT as BUS
from mesh.errors import ErrorView
from mesh.events import event
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "performance_pb2_grpc.PerformanceServiceAsyncStub"

RM, PARTNER, STRANGER = 31, 32, 33
BRANCH, PARTNERS_BRANCH = 1, 2
WITHIN_S = 30.0
INFLOW = performance_pb2.METRIC_NET_EXTERNAL_INFLOW

SCENES = range(100, 110)
_scenes = iter(SCENES)


def split(scene: int) -> int:
    """A customer of RM and partner, 70 to 30; each scene has its own."""
    return scene * 10 + 1


def whole(scene: int) -> int:
    """A customer of RM alone."""
    return scene * 10 + 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("loader", {"customer.import"})
            for teller in ("action", "reach"):
                mesh.trust(teller, RIGHTS_OF_ALL)
            for blueprint in (CUSTOMER, BLUEPRINT):
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            for blueprint in (BUS, SEQUENCER, CUSTOMER, BLUEPRINT):
                await mesh.start(blueprint)
            await bring_customers(mesh)
            yield mesh


async def bring_customers(mesh: Mesh) -> None:
    stub: Any = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    request = customer_pb2.ImportCustomersRequest()
    for token in (customer(scene) for scene in SCENES for customer in (split, whole)):
        request.customers.add(
            customer_id=token, tier=customer_pb2.TIER_AUM50, owner_id=RM, branch_id=BRANCH
        )
    shares = [
        ownership_pb2.OwnerShare(staff_id=RM, share_bp=7_000, branch_id=BRANCH),
        ownership_pb2.OwnerShare(staff_id=PARTNER, share_bp=3_000, branch_id=PARTNERS_BRANCH),
    ]
    for added in request.customers[::2]:
        added.shares.extend(shares)
    await stub.ImportCustomers(request)


def user(mesh: Mesh, *, staff_id: int = 0, branch_id: int = 0) -> Stub:
    """A relationship manager, a branch manager, or head office."""
    scope = policy_pb2.SCOPE_ALL
    if branch_id:
        scope = policy_pb2.SCOPE_OWN_BOOK if staff_id else policy_pb2.SCOPE_BRANCH
    token = mesh.token(
        f"user{staff_id}-{branch_id}",
        permissions={"performance.read"},
        data_scope=scope,
        staff_id=staff_id,
        branch_id=branch_id,
    )
    return performance_pb2_grpc.PerformanceServiceStub(mesh.channel("performance", token=token))


@pytest.fixture
def source(mesh: Mesh) -> Stub:
    token = mesh.token("core", permissions={"performance.record"}, data_scope=policy_pb2.SCOPE_SELF)
    return performance_pb2_grpc.PerformanceServiceStub(mesh.channel("performance", token=token))


@pytest.fixture
def bank(mesh: Mesh) -> Stub:
    return user(mesh)


@pytest.fixture
def scene() -> int:
    """A version of a scene of the test's own; its other ids are made from it."""
    return next(_scenes)


async def treat(mesh: Mesh, scene: int, *customers: int) -> None:
    """Tell, as action and reach do, that these customers were treated and reached."""
    then = datetime.now(UTC) - timedelta(minutes=1)
    for customer_id in customers:
        chain = ChainIds(
            scene_version=scene,
            trigger_id=scene,
            opportunity_id=scene * 100 + customer_id,
            task_id=scene * 100 + customer_id,
        )
        opportunity = action_pb2.Opportunity(
            opportunity_id=chain.opportunity_id,
            trigger_id=chain.trigger_id,
            scene_version=scene,
            customer_id=customer_id,
            arm=action_pb2.ARM_TREATED,
            state=action_pb2.OPPORTUNITY_STATE_TASKED,
        )
        opportunity.occurred_time.FromDatetime(then)
        contact = reach_pb2.Contact(
            contact_id=chain.task_id, customer_id=customer_id, chain=chain, reached=True
        )
        contact.update_time.FromDatetime(then)
        for teller, told in (
            ("reach", reach_pb2.ContactChanged(contact=contact)),
            ("action", action_pb2.OpportunityChanged(opportunity=opportunity)),
        ):
            bus: Any = bus_pb2_grpc.BusServiceStub(mesh.channel("bus", caller=teller))
            await bus.Append(bus_pb2.AppendRequest(events=[event(told, key=customer_id)]))


def result(key: str, customer_id: int, amount_fen: int, **fields: Any) -> performance_pb2.Result:
    known: dict[str, Any] = {
        "metric": INFLOW,
        "business_key": key,
        "customer_id": customer_id,
        "amount_fen": amount_fen,
        "money_class": "OWN_OTHER_BANK",
        "business_date": "2026-11-23",
    }
    made = performance_pb2.Result(**(known | fields))
    made.occurred_time.FromDatetime(datetime.now(UTC))
    return made


def reversal(key: str, day: str) -> performance_pb2.ResultReversal:
    return performance_pb2.ResultReversal(
        metric=INFLOW, business_key=key, business_date=day, reason="CORRECTED"
    )


async def totals(stub: Stub, scene: int) -> performance_pb2.GetTotalsResponse:
    return await stub.GetTotals(
        performance_pb2.GetTotalsRequest(metric=INFLOW, scene_version=scene)
    )


async def allocated(bank: Stub, scene: int, results: int) -> performance_pb2.GetTotalsResponse:
    """The totals of a scene, once so many results were led to it and to their owners."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await totals(bank, scene)
            if found.results == results and not found.unallocated_fen:
                return found


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_money_is_credited_whenever_its_cause_is_heard_of(
    mesh: Mesh, source: Stub, bank: Stub, scene: int
) -> None:
    """70 to 30 to the fen; the events may come before the result or after it."""
    key = uuid4().hex
    await source.RecordResults(
        performance_pb2.RecordResultsRequest(results=[result(f"{key}-1", split(scene), 100_001)])
    )
    await treat(mesh, scene, split(scene), whole(scene))
    await allocated(bank, scene, 1)
    await source.RecordResults(
        performance_pb2.RecordResultsRequest(results=[result(f"{key}-2", whole(scene), 50_000)])
    )
    found = await allocated(bank, scene, 2)
    assert (found.total_fen, found.split_customers) == (150_001, 1)
    assert [(one.owner_id, one.branch_id, one.amount_fen) for one in found.owners] == [
        (RM, BRANCH, 120_001),
        (PARTNER, PARTNERS_BRANCH, 30_000),
    ]


async def test_a_batch_is_answered_once_however_often_it_is_sent(source: Stub, scene: int) -> None:
    """Under the same request id the answer is the same; under another all are duplicates (X1)."""
    key = uuid4().hex
    batch = performance_pb2.RecordResultsRequest(
        results=[result(f"{key}-{number}", whole(scene), 1_000) for number in range(3)],
        reversals=[reversal(f"{key}-0", "2026-11-24")],
        request_id=f"batch-{scene}",
    )
    first = await source.RecordResults(batch)
    assert (first.received, first.recorded, first.reversed, first.credits) == (3, 3, 1, 4)
    assert await source.RecordResults(batch) == first
    batch.request_id = ""
    again = await source.RecordResults(batch)
    assert (again.received, again.duplicates, again.reversed, again.credits) == (3, 3, 0, 0)


async def test_each_sees_what_lies_within_his_reach(
    mesh: Mesh, source: Stub, bank: Stub, scene: int
) -> None:
    """Own entries, the branch's, or all; the totals are of those, and so is each explanation."""
    await treat(mesh, scene, split(scene))
    batch = [result(uuid4().hex, split(scene), 10_000)]
    await source.RecordResults(performance_pb2.RecordResultsRequest(results=batch))
    await allocated(bank, scene, 1)
    readers = {
        7_000: [user(mesh, staff_id=RM, branch_id=BRANCH), user(mesh, branch_id=BRANCH)],
        3_000: [
            user(mesh, staff_id=PARTNER, branch_id=PARTNERS_BRANCH),
            user(mesh, branch_id=PARTNERS_BRANCH),
        ],
        0: [user(mesh, staff_id=STRANGER, branch_id=9), user(mesh, branch_id=9)],
    }
    for amount, stubs in readers.items():
        for stub in stubs:
            found = await totals(stub, scene)
            assert (found.total_fen, found.unallocated_fen) == (amount, 0)
            assert found.results == found.split_customers == (1 if amount else 0)
    listing = performance_pb2.ListCreditsRequest(
        metric=INFLOW, customer_id=split(scene), page_size=1
    )
    (entry,) = (await readers[3_000][0].ListCredits(listing)).credits
    assert (entry.owner_id, entry.amount_fen) == (PARTNER, 3_000)
    explain = performance_pb2.ExplainNumberRequest(credit_id=entry.credit_id)
    for stub in (*readers[7_000], *readers[0]):
        assert (await refusal(stub.ExplainNumber(explain))).reason == "OUT_OF_SCOPE"
    for stub in (bank, *readers[3_000]):
        assert (await stub.ExplainNumber(explain)).credit == entry


async def test_a_number_is_explained_down_to_its_transaction(
    mesh: Mesh, source: Stub, bank: Stub, scene: int
) -> None:
    """Entries that sum to what stands, and the class of the money (A14)."""
    await treat(mesh, scene, split(scene))
    key = uuid4().hex
    handed = result(key, split(scene), 123_456, money_class="SALARY")
    await source.RecordResults(performance_pb2.RecordResultsRequest(results=[handed]))
    await allocated(bank, scene, 1)
    taken = performance_pb2.RecordResultsRequest(reversals=[reversal(key, "2026-11-24")])
    assert (await source.RecordResults(taken)).reversed == 1
    listing = performance_pb2.ListCreditsRequest(
        metric=INFLOW, owner_id=RM, customer_id=split(scene), page_size=1
    )
    page = await bank.ListCredits(listing)
    (entry,) = page.credits
    assert entry.entry_type == performance_pb2.ENTRY_TYPE_REVERSE
    explain = performance_pb2.ExplainNumberRequest(credit_id=entry.credit_id)
    told = await bank.ExplainNumber(explain)
    assert told.result.money_class == "SALARY"
    assert sum(one.amount_fen for one in told.entries) == 0
    assert told.steps[0] == (
        f"Transaction {key} of 2026-11-23: SALARY 1,234.56 yuan counts for net external inflow"
    )
    assert told.steps[-1].endswith("taken back on 2026-11-24, CORRECTED")
    listing.page_token = page.next_page_token
    assert (await bank.ListCredits(listing)).credits[0].credit_id != entry.credit_id


async def test_results_are_handed_in_by_those_who_may(bank: Stub, source: Stub, scene: int) -> None:
    """And read by others; an empty batch is refused."""
    batch = performance_pb2.RecordResultsRequest(results=[result(uuid4().hex, whole(scene), 1)])
    assert (await refusal(bank.RecordResults(batch))).reason == "PERMISSION_DENIED"
    empty = performance_pb2.RecordResultsRequest()
    assert (await refusal(source.RecordResults(empty))).reason == "INVALID_ARGUMENT"
    batch.results[0].business_date = "2026-02-30"
    assert (await refusal(source.RecordResults(batch))).reason == "DATE_INVALID"
