"""The product centre over real sockets, with the real customer centre and sequencer behind it."""

from __future__ import annotations

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
from centers.product.app import BLUEPRINT
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import policy_pb2
from engine.product.v1 import product_pb2, product_pb2_grpc
from mesh.clock import ManualClock
from mesh.errors import ErrorView
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "product_pb2_grpc.ProductServiceAsyncStub"

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
CAUTIOUS, EXPIRING, SENIOR = 11, 12, 13
"""Customers: C2; C3 until noon; C5 and 65 or older."""
RM = 7
RIGHTS = frozenset({"product.read", "product.check"})


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(NOON - timedelta(hours=1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(clock: ManualClock) -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("loader", {"customer.import"})
            for blueprint in (CUSTOMER, BLUEPRINT):
                mesh.trust(blueprint.name, blueprint.rights)
            await mesh.start(SEQUENCER)
            await mesh.start(CUSTOMER)
            await mesh.start(BLUEPRINT, clock=clock)
            await bring_customers(mesh)
            yield mesh


async def bring_customers(mesh: Mesh) -> None:
    stub: Any = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    grades = {
        CAUTIOUS: (customer_pb2.RISK_GRADE_C2, NOON + timedelta(days=9), False),
        EXPIRING: (customer_pb2.RISK_GRADE_C3, NOON, False),
        SENIOR: (customer_pb2.RISK_GRADE_C5, NOON + timedelta(days=9), True),
    }
    request = customer_pb2.ImportCustomersRequest()
    for token, (grade, expiry, senior) in grades.items():
        added = request.customers.add(
            customer_id=token,
            tier=customer_pb2.TIER_AUM50,
            risk_grade=grade,
            owner_id=RM,
            branch_id=1,
            senior=senior,
        )
        added.risk_grade_expire_time.FromDatetime(expiry)
    await stub.ImportCustomers(request)


def user(mesh: Mesh, name: str, *permissions: str, staff_id: int = 0) -> Stub:
    token = mesh.token(
        name,
        permissions=permissions,
        data_scope=policy_pb2.SCOPE_OWN_BOOK if staff_id else policy_pb2.SCOPE_ALL,
        staff_id=staff_id,
        branch_id=1 if staff_id else 0,
    )
    return product_pb2_grpc.ProductServiceStub(mesh.channel("product", token=token))


@pytest.fixture
def maker(mesh: Mesh) -> Stub:
    return user(mesh, "hq", "product.read", "product.write", "product.approve")


@pytest.fixture
def checker(mesh: Mesh) -> Stub:
    return user(mesh, "compliance", "product.read", "product.approve")


@pytest.fixture
def rm(mesh: Mesh) -> Stub:
    return user(mesh, "rm", *RIGHTS, staff_id=RM)


async def on_sale(maker: Stub, checker: Stub, risk: int, **fields: Any) -> int:
    """A product of this risk, approved."""
    level = product_pb2.ProductRisk.ValueType(risk)
    product = product_pb2.Product(
        code=f"T-{uuid4().hex[:12].upper()}",
        name="测试",
        product_class=product_pb2.PRODUCT_CLASS_FUND,
        issuer_risk=level,
        own_risk=level,
        **fields,
    )
    made = await maker.DraftProduct(
        product_pb2.DraftProductRequest(product=product, request_id=uuid4().hex)
    )
    product_id = made.product.definition.definition_id
    await maker.SubmitProduct(product_pb2.SubmitProductRequest(product_id=product_id))
    await checker.ApproveProduct(product_pb2.ApproveProductRequest(product_id=product_id))
    return product_id


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def reasons(rm: Stub, customer_id: int, product_id: int, *, care: bool = False) -> set[str]:
    answer = await rm.CheckSuitability(
        product_pb2.CheckSuitabilityRequest(
            customer_id=customer_id,
            product_id=product_id,
            extra_care_done=care,
            request_id=uuid4().hex,
        )
    )
    check = answer.suitability_check
    assert check.receipt_id > 0
    assert check.suitable is (not check.reasons)
    return {product_pb2.SuitabilityReason.Name(reason)[19:] for reason in check.reasons}


async def shelf(rm: Stub, customer_id: int) -> set[int]:
    answer = await rm.ListShelf(product_pb2.ListShelfRequest(customer_id=customer_id))
    return {product.definition.definition_id for product in answer.products}


async def test_a_c2_customer_is_never_offered_r3(rm: Stub, maker: Stub, checker: Stub) -> None:
    """Shelf, check and proposal agree (A11)."""
    r3, r2 = await on_sale(maker, checker, 3), await on_sale(maker, checker, 2)
    assert await reasons(rm, CAUTIOUS, r3) == {"RISK_TOO_HIGH"}
    assert await reasons(rm, CAUTIOUS, r2) == set()
    found = await shelf(rm, CAUTIOUS)
    assert r2 in found
    assert r3 not in found
    lines = [product_pb2.ProposalLine(product_id=p, share_bp=5_000) for p in (r2, r3)]
    request = product_pb2.CreateProposalRequest(customer_id=CAUTIOUS, lines=lines)
    view = await refusal(rm.CreateProposal(request))
    assert view.reason == "UNSUITABLE"
    assert [(v.field, v.description) for v in view.violations] == [
        ("lines[1].product_id", "RISK_TOO_HIGH")
    ]


async def test_a_proposal_names_the_versions_it_is_about(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """With a receipt for each line."""
    product_id = await on_sale(maker, checker, 2)
    line = product_pb2.ProposalLine(product_id=product_id, share_bp=10_000)
    request = product_pb2.CreateProposalRequest(
        customer_id=CAUTIOUS, lines=[line], request_id=uuid4().hex
    )
    proposal = (await rm.CreateProposal(request)).proposal
    assert proposal.lines[0].product_version == 1
    assert len(proposal.receipt_ids) == 1
    again = (await rm.CreateProposal(request)).proposal
    assert again == proposal


async def test_the_answer_flips_when_the_grade_expires(
    rm: Stub, maker: Stub, checker: Stub, clock: ManualClock
) -> None:
    """At 12:00:01 the same question has another answer (A11)."""
    product_id = await on_sale(maker, checker, 1)
    assert await reasons(rm, EXPIRING, product_id) == set()
    clock.advance((NOON - clock.now()).total_seconds() + 1)
    assert await reasons(rm, EXPIRING, product_id) == {"GRADE_EXPIRED"}


async def test_a_senior_needs_extra_care_for_r4(rm: Stub, maker: Stub, checker: Stub) -> None:
    """The step is recorded with the check (A11)."""
    product_id = await on_sale(maker, checker, 4)
    assert await reasons(rm, SENIOR, product_id) == {"EXTRA_CARE_REQUIRED"}
    assert await reasons(rm, SENIOR, product_id, care=True) == set()


async def test_the_author_does_not_approve(maker: Stub) -> None:
    """Even with the right to approve (X9)."""
    level = product_pb2.PRODUCT_RISK_R1
    product = product_pb2.Product(
        code="SELF-1",
        name="自批",
        product_class=product_pb2.PRODUCT_CLASS_FUND,
        issuer_risk=level,
        own_risk=level,
    )
    made = await maker.DraftProduct(product_pb2.DraftProductRequest(product=product))
    product_id = made.product.definition.definition_id
    await maker.SubmitProduct(product_pb2.SubmitProductRequest(product_id=product_id))
    view = await refusal(
        maker.ApproveProduct(product_pb2.ApproveProductRequest(product_id=product_id))
    )
    assert view.reason == "CHECKER_IS_MAKER"
    view = await refusal(maker.DraftProduct(product_pb2.DraftProductRequest(product=product)))
    assert view.reason == "CODE_TAKEN"


async def test_a_suspended_product_leaves_the_shelf_at_once(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """And comes back when it is resumed."""
    product_id = await on_sale(maker, checker, 1)
    await checker.SuspendProduct(product_pb2.SuspendProductRequest(product_id=product_id))
    assert product_id not in await shelf(rm, SENIOR)
    assert await reasons(rm, SENIOR, product_id) == {"NOT_ON_SALE"}
    view = await refusal(
        checker.SuspendProduct(product_pb2.SuspendProductRequest(product_id=product_id))
    )
    assert view.reason == "NOT_ON_SALE"
    await checker.ResumeProduct(product_pb2.ResumeProductRequest(product_id=product_id))
    assert product_id in await shelf(rm, SENIOR)


async def test_an_approved_version_stays_while_the_next_is_written(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """The shelf shows version 1 until version 2 is approved (X8)."""
    product_id = await on_sale(maker, checker, 2)
    asked = product_pb2.GetProductRequest(product_id=product_id)
    first = (await rm.GetProduct(asked)).product
    changed = product_pb2.Product()
    changed.CopyFrom(first)
    changed.name = "第二版"
    draft = product_pb2.DraftProductRequest(product=changed)
    assert (await maker.DraftProduct(draft)).product.definition.version == 2
    assert (await rm.GetProduct(asked)).product == first
    await maker.SubmitProduct(product_pb2.SubmitProductRequest(product_id=product_id))
    await checker.ApproveProduct(product_pb2.ApproveProductRequest(product_id=product_id))
    assert (await rm.GetProduct(asked)).product.name == "第二版"
    old = product_pb2.GetProductRequest(product_id=product_id, version=1)
    assert (await rm.GetProduct(old)).product == first


async def test_a_new_version_of_a_suspended_product_does_not_put_it_on_sale(
    rm: Stub, maker: Stub, checker: Stub
) -> None:
    """Why it was suspended still holds: resuming it is a decision of its own."""
    product_id = await on_sale(maker, checker, 1)
    await checker.SuspendProduct(product_pb2.SuspendProductRequest(product_id=product_id))
    asked = product_pb2.GetProductRequest(product_id=product_id)
    changed = (await rm.GetProduct(asked)).product
    changed.name = "第二版"
    await maker.DraftProduct(product_pb2.DraftProductRequest(product=changed))
    await maker.SubmitProduct(product_pb2.SubmitProductRequest(product_id=product_id))
    approved = await checker.ApproveProduct(
        product_pb2.ApproveProductRequest(product_id=product_id)
    )
    assert approved.product.status == product_pb2.PRODUCT_STATUS_SUSPENDED
    assert product_id not in await shelf(rm, SENIOR)
    await checker.ResumeProduct(product_pb2.ResumeProductRequest(product_id=product_id))
    assert (await rm.GetProduct(asked)).product.name == "第二版"
    assert product_id in await shelf(rm, SENIOR)


async def test_money_is_placed_in_nothing_without_a_risk(maker: Stub) -> None:
    """A wealth product states both risks; a loan has none."""
    product = product_pb2.Product(
        code="NORISK-1", name="无", product_class=product_pb2.PRODUCT_CLASS_WEALTH
    )
    view = await refusal(maker.DraftProduct(product_pb2.DraftProductRequest(product=product)))
    assert view.reason == "RISK_NEEDED"
    assert [violation.field for violation in view.violations] == [
        "product.issuer_risk",
        "product.own_risk",
    ]


async def test_a_customer_of_another_book_is_not_found(
    mesh: Mesh, maker: Stub, checker: Stub
) -> None:
    """As one who does not exist."""
    product_id = await on_sale(maker, checker, 1)
    other = user(mesh, "rm8", *RIGHTS, staff_id=8)
    for customer_id in (SENIOR, 999):
        request = product_pb2.CheckSuitabilityRequest(
            customer_id=customer_id, product_id=product_id
        )
        assert (await refusal(other.CheckSuitability(request))).reason == "OUT_OF_SCOPE"
