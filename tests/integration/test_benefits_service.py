"""The benefits centre over real sockets, with the real customer centre, sequencer and bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from centers.benefits.app import BLUEPRINT
from centers.customer.app import BLUEPRINT as CUSTOMER
from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import bus_pb2, bus_pb2_grpc, policy_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh import context
from mesh.bus.app import BLUEPRINT as BUS
from mesh.context import RequestContext
from mesh.errors import ErrorView
from mesh.events import event
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "benefits_pb2_grpc.BenefitsServiceAsyncStub"

RM, OTHER_RM = 7, 8
CUSTOMERS = range(11, 31)
"""All of the RM's book, at branch 1."""
FOREIGN = 40
"""A customer of another RM, at another branch."""
WITHIN_S = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("loader", {"customer.import"})
            mesh.trust("action", RIGHTS_OF_ALL)
            for blueprint in (CUSTOMER, BLUEPRINT):
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            for blueprint in (BUS, SEQUENCER, CUSTOMER, BLUEPRINT):
                await mesh.start(blueprint)
            await bring_customers(mesh)
            yield mesh


async def bring_customers(mesh: Mesh) -> None:
    stub: Any = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    request = customer_pb2.ImportCustomersRequest()
    for token in CUSTOMERS:
        request.customers.add(
            customer_id=token, tier=customer_pb2.TIER_AUM50, owner_id=RM, branch_id=1
        )
    request.customers.add(
        customer_id=FOREIGN, tier=customer_pb2.TIER_AUM50, owner_id=OTHER_RM, branch_id=2
    )
    await stub.ImportCustomers(request)


def user(mesh: Mesh, name: str, *permissions: str, staff_id: int = 0, branch_id: int = 0) -> Stub:
    scope = policy_pb2.SCOPE_ALL
    if branch_id:
        scope = policy_pb2.SCOPE_OWN_BOOK if staff_id else policy_pb2.SCOPE_BRANCH
    token = mesh.token(
        name,
        permissions=permissions,
        data_scope=scope,
        staff_id=staff_id,
        branch_id=branch_id,
    )
    return benefits_pb2_grpc.BenefitsServiceStub(mesh.channel("benefits", token=token))


@pytest.fixture
def maker(mesh: Mesh) -> Stub:
    rights = ("benefits.read", "benefits.write", "benefits.approve", "benefits.revoke")
    return user(mesh, "hq", *rights)


@pytest.fixture
def checker(mesh: Mesh) -> Stub:
    return user(mesh, "compliance", "benefits.read", "benefits.approve")


@pytest.fixture
def rm(mesh: Mesh) -> Stub:
    return user(mesh, "rm", "benefits.read", "benefits.grant", staff_id=RM, branch_id=1)


def activity(**fields: Any) -> benefits_pb2.Activity:
    return benefits_pb2.Activity(
        name="到账礼",
        sku="GIFT-1",
        benefit_type=benefits_pb2.BENEFIT_TYPE_LOUNGE,
        cost_fen=8_800,
        **fields,
    )


async def opened(maker: Stub, checker: Stub, stock: int, **fields: Any) -> int:
    """An activity that is open, with so much in stock."""
    draft = benefits_pb2.DraftActivityRequest(activity=activity(**fields), request_id=uuid4().hex)
    made = await maker.DraftActivity(draft)
    activity_id = made.activity.definition.definition_id
    await maker.SubmitActivity(benefits_pb2.SubmitActivityRequest(activity_id=activity_id))
    await checker.ApproveActivity(benefits_pb2.ApproveActivityRequest(activity_id=activity_id))
    if stock:
        await checker.IssueStock(
            benefits_pb2.IssueStockRequest(activity_id=activity_id, quantity=stock)
        )
    return activity_id


async def claim(
    stub: Stub, activity_id: int, customer_id: int, reason: str = "r", **fields: Any
) -> benefits_pb2.Grant:
    request = benefits_pb2.ClaimRequest(
        activity_id=activity_id, customer_id=customer_id, reason_key=reason, **fields
    )
    return (await stub.Claim(request)).grant


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_a_gift_for_deposits_is_refused(maker: Stub) -> None:
    """Whoever drafts it."""
    draft = benefits_pb2.DraftActivityRequest(activity=activity(deposit_inducement=True))
    view = await refusal(maker.DraftActivity(draft))
    assert (view.code, view.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DEPOSIT_INDUCEMENT",
    )


async def test_the_author_does_not_approve(maker: Stub) -> None:
    """Even with the right to approve (X9); and nothing is claimed of what is not approved."""
    made = await maker.DraftActivity(benefits_pb2.DraftActivityRequest(activity=activity()))
    activity_id = made.activity.definition.definition_id
    await maker.SubmitActivity(benefits_pb2.SubmitActivityRequest(activity_id=activity_id))
    approve = benefits_pb2.ApproveActivityRequest(activity_id=activity_id)
    assert (await refusal(maker.ApproveActivity(approve))).reason == "CHECKER_IS_MAKER"
    issue = benefits_pb2.IssueStockRequest(activity_id=activity_id, quantity=1)
    assert (await refusal(maker.IssueStock(issue))).reason == "ACTIVITY_NOT_OPEN"


async def test_an_activity_keeps_its_sku_and_its_open_version(
    maker: Stub, checker: Stub, rm: Stub
) -> None:
    """Readers see the next version when it is approved (X8)."""
    activity_id = await opened(maker, checker, 3)
    asked = benefits_pb2.GetActivityRequest(activity_id=activity_id)
    first = (await rm.GetActivity(asked)).activity
    assert (first.stock.issued, first.stock.available) == (3, 3)
    changed = benefits_pb2.Activity()
    changed.CopyFrom(first)
    changed.sku = "OTHER-1"
    draft = benefits_pb2.DraftActivityRequest(activity=changed)
    assert (await refusal(maker.DraftActivity(draft))).reason == "SKU_FIXED"
    changed.sku, changed.limit_per_customer = first.sku, 2
    await maker.DraftActivity(draft_of(changed))
    assert (await rm.GetActivity(asked)).activity == first
    await maker.SubmitActivity(benefits_pb2.SubmitActivityRequest(activity_id=activity_id))
    await checker.ApproveActivity(benefits_pb2.ApproveActivityRequest(activity_id=activity_id))
    assert (await rm.GetActivity(asked)).activity.limit_per_customer == 2
    for reason in ("a", "b"):
        made = await claim(rm, activity_id, CUSTOMERS[0], reason)
        assert made.state == benefits_pb2.GRANT_STATE_GRANTED
    listed = await rm.ListActivities(benefits_pb2.ListActivitiesRequest())
    assert listed.activities[0].stock.granted == 2


def draft_of(changed: benefits_pb2.Activity) -> benefits_pb2.DraftActivityRequest:
    return benefits_pb2.DraftActivityRequest(activity=changed)


async def test_a_claim_is_answered_once_however_often_it_is_sent(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """Under the same request id, under another and under none; another body is refused (X1)."""
    activity_id = await opened(maker, checker, 2)
    request_id = uuid4().hex
    made = await claim(rm, activity_id, CUSTOMERS[0], request_id=request_id)
    assert await claim(rm, activity_id, CUSTOMERS[0], request_id=request_id) == made
    assert await claim(rm, activity_id, CUSTOMERS[0], request_id=uuid4().hex) == made
    assert await claim(rm, activity_id, CUSTOMERS[0]) == made
    other = claim(rm, activity_id, CUSTOMERS[1], request_id=request_id)
    assert (await refusal(other)).reason == "REQUEST_ID_REUSED"
    assert made.actor == "rm"
    assert made.chain.grant_id == made.grant_id


async def test_who_comes_too_late_waits_and_is_served_in_order(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """20 claim at once for 8 (A3); 4 more go to those who wait longest."""
    activity_id = await opened(maker, checker, 8)
    made = await asyncio.gather(*(claim(rm, activity_id, one) for one in CUSTOMERS))
    granted = [one for one in made if one.state == benefits_pb2.GRANT_STATE_GRANTED]
    assert len(granted) == 8
    issue = benefits_pb2.IssueStockRequest(activity_id=activity_id, quantity=4)
    stock = (await checker.IssueStock(issue)).stock
    assert (stock.issued, stock.available, stock.granted, stock.wait_listed) == (12, 0, 12, 8)
    revoke = benefits_pb2.RevokeGrantRequest(grant_id=granted[0].grant_id, reason="MISTAKE")
    for _ in range(2):
        revoked = (await maker.RevokeGrant(revoke)).grant
        assert revoked.state == benefits_pb2.GRANT_STATE_REVOKED
    redeem = benefits_pb2.RedeemGrantRequest(grant_id=granted[1].grant_id)
    await rm.RedeemGrant(redeem)
    assert (await refusal(rm.RedeemGrant(redeem))).reason == "NOT_GRANTED"
    asked = benefits_pb2.GetActivityRequest(activity_id=activity_id)
    stock = (await rm.GetActivity(asked)).activity.stock
    assert (stock.granted, stock.redeemed, stock.wait_listed) == (11, 1, 7)


async def test_a_grant_belongs_to_who_looks_after_its_customer(
    mesh: Mesh, rm: Stub, maker: Stub, checker: Stub
) -> None:
    """The book for writing, the branch for reading; a foreign grant looks like none."""
    activity_id = await opened(maker, checker, 2)
    foreign = claim(rm, activity_id, FOREIGN)
    assert (await refusal(foreign)).reason == "OUT_OF_SCOPE"
    made = await claim(rm, activity_id, CUSTOMERS[0])
    other = user(mesh, "rm8", "benefits.read", "benefits.grant", staff_id=OTHER_RM, branch_id=2)
    for grant_id in (made.grant_id, 999):
        get = benefits_pb2.GetGrantRequest(grant_id=grant_id)
        assert (await refusal(other.GetGrant(get))).reason == "OUT_OF_SCOPE"
        redeem = benefits_pb2.RedeemGrantRequest(grant_id=grant_id)
        assert (await refusal(other.RedeemGrant(redeem))).reason == "OUT_OF_SCOPE"
    manager = user(mesh, "bm", "benefits.read", branch_id=1)
    get = benefits_pb2.GetGrantRequest(grant_id=made.grant_id)
    assert (await manager.GetGrant(get)).grant == made
    listing = benefits_pb2.ListGrantsRequest(customer_id=CUSTOMERS[0], page_size=1)
    assert (await rm.ListGrants(listing)).grants[0] == made


async def test_a_grant_knows_what_led_to_its_task(
    mesh: Mesh, rm: Stub, maker: Stub, checker: Stub
) -> None:
    """By the events of the action centre; a claim that comes before them is sent again."""
    activity_id = await opened(maker, checker, 1)
    unknown = claim(rm, activity_id, CUSTOMERS[0], task_id=4242)
    view = await refusal(unknown)
    assert (view.code, view.reason) == (grpc.StatusCode.UNAVAILABLE, "TASK_UNKNOWN")
    task = action_pb2.Task(
        task_id=4242,
        customer_id=CUSTOMERS[0],
        state=action_pb2.TASK_STATE_ASSIGNED,
        chain=ChainIds(scene_version=1, trigger_id=2, opportunity_id=3),
    )
    bus: Any = bus_pb2_grpc.BusServiceStub(mesh.channel("bus", caller="action"))
    told = event(action_pb2.TaskChanged(task=task), key=task.customer_id)
    await bus.Append(bus_pb2.AppendRequest(events=[told]))
    async with asyncio.timeout(WITHIN_S):
        made = await until_known(rm, activity_id)
    assert made.chain == ChainIds(
        scene_version=1, trigger_id=2, opportunity_id=3, task_id=4242, grant_id=made.grant_id
    )


async def test_a_user_s_own_word_makes_no_grant_part_of_a_scene(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """A chain that comes with a user's token alone would count for a scene in its review."""
    activity_id = await opened(maker, checker, 1)
    forged = ChainIds(scene_version=77, contact_id=78)
    with context.using(RequestContext(chain=forged)):
        made = await claim(rm, activity_id, CUSTOMERS[0])
    assert made.chain == ChainIds(grant_id=made.grant_id)


async def until_known(rm: Stub, activity_id: int) -> benefits_pb2.Grant:
    """The claim, sent again for as long as its task is not known: as its callers do."""
    while True:
        try:
            return await claim(rm, activity_id, CUSTOMERS[0], task_id=4242)
        except grpc.aio.AioRpcError as error:
            if ErrorView.from_rpc(error).reason != "TASK_UNKNOWN":
                raise
