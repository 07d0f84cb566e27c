"""A11, A15: nothing unsuitable is offered, and nobody speaks of what he may not sell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest

from bank.catalogue import FUND_SALES, Script
from cli.loop.catalogue import MAKER, Shelf, bring_script
from cli.loop.customers import bring
from cli.loop.desks import GREETING, USERNAMES, Desk, Words
from cli.loop.people import People, request_id, tried, until
from engine.customer.v1 import customer_pb2
from engine.learning.v1 import learning_pb2, learning_pb2_grpc
from engine.product.v1 import product_pb2, product_pb2_grpc
from engine.reach.v1 import reach_pb2
from mesh.errors import ErrorView
from tests.scenario.fixture import customers, owner_of, tokens

if TYPE_CHECKING:
    from engine.learning.v1.learning_pb2_grpc import LearningServiceAsyncStub
    from engine.product.v1.product_pb2_grpc import ProductServiceAsyncStub

R2, R3, R4 = "WM-0003", "WM-0007", "WM-0010"
"""Wealth products of the demo bank, by risk."""

FUND = "FD-0003"
"""A fund that only those may offer who are qualified to sell funds."""

SOON = timedelta(seconds=2)

ADMITTED = reach_pb2.ADMISSION_DECISION_ADMITTED
DENIED = reach_pb2.ADMISSION_DECISION_DENIED
SUITABILITY = reach_pb2.ADMISSION_CHECK_SUITABILITY
QUALIFICATION = reach_pb2.ADMISSION_CHECK_QUALIFICATION
TOO_HIGH = product_pb2.SUITABILITY_REASON_RISK_TOO_HIGH
EXPIRED = product_pb2.SUITABILITY_REASON_GRADE_EXPIRED
EXTRA_CARE = product_pb2.SUITABILITY_REASON_EXTRA_CARE_REQUIRED

Change = Callable[[customer_pb2.Customer], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """A relationship manager with a customer of his own, and what he asks about him."""

    people: People
    token: int
    desk: Desk
    products: ProductServiceAsyncStub

    async def change(self, change: Change) -> None:
        """The customer centre learns something else of the customer."""
        (customer,) = customers([self.token])
        change(customer)
        await bring(self.people, [customer])

    async def check(
        self, product_id: int, *, extra_care_done: bool = False
    ) -> product_pb2.SuitabilityCheck:
        """Whether the product suits, with a receipt."""
        request = product_pb2.CheckSuitabilityRequest(
            customer_id=self.token,
            product_id=product_id,
            extra_care_done=extra_care_done,
            request_id=request_id(),
        )
        return (await tried(lambda: self.products.CheckSuitability(request))).suitability_check

    async def shelf(self) -> set[int]:
        """Products that he may offer."""
        request = product_pb2.ListShelfRequest(customer_id=self.token)
        listed = (await tried(lambda: self.products.ListShelf(request))).products
        return {product.definition.definition_id for product in listed}

    async def propose(self, product_id: int) -> None:
        """Propose the product alone."""
        request = product_pb2.CreateProposalRequest(
            customer_id=self.token,
            lines=[product_pb2.ProposalLine(product_id=product_id, share_bp=10_000)],
            request_id=request_id(),
        )
        await tried(lambda: self.products.CreateProposal(request))


async def manager_of(people: People, token: int, change: Change = lambda _: None) -> Manager:
    """The owner of a new customer, signed on."""
    username = USERNAMES[owner_of(token).staff_id]
    await people.sign_on((username,))
    products: ProductServiceAsyncStub = product_pb2_grpc.ProductServiceStub(
        people.as_user(username, "product")
    )
    manager = Manager(people=people, token=token, desk=Desk(people, username), products=products)
    await manager.change(change)
    return manager


async def words_of(people: People, shelf: Shelf, code: str) -> Words:
    """An approved script that speaks of the product, though the sender does not name it."""
    script = Script(
        title=f"Speaks of {code}",
        text="{greeting}，欢迎了解。理财非存款，产品有风险，投资须谨慎。退订回T。",
        slots=("greeting",),
        product_codes=(code,),
    )
    return Words(script_id=await bring_script(people, script, shelf.products), slots=GREETING)


async def test_what_does_not_suit_is_refused_everywhere_for_the_same_reason(
    people: People, shelf: Shelf
) -> None:
    """C2 × R3: not on the shelf; check, proposal, text message and WeCom all say RISK_TOO_HIGH."""

    def cautious(customer: customer_pb2.Customer) -> None:
        customer.risk_grade = customer_pb2.RISK_GRADE_C2

    manager = await manager_of(people, tokens(1)[0], cautious)
    product_id, words = shelf.products[R3], await words_of(people, shelf, R3)
    offered = await manager.shelf()
    assert shelf.products[R2] in offered
    assert product_id not in offered
    assert list((await manager.check(product_id)).reasons) == [TOO_HIGH]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await manager.propose(product_id)
    view = ErrorView.from_rpc(refused.value)
    assert (view.reason, view.violations[0].description) == ("UNSUITABLE", "RISK_TOO_HIGH")
    for send in (manager.desk.text, manager.desk.write):
        receipt = (await send(manager.token, words)).receipt
        assert (receipt.decision, receipt.reason) == (DENIED, SUITABILITY)
        (found,) = (one for one in receipt.checks if one.check == SUITABILITY)
        assert found.detail == "RISK_TOO_HIGH"
        assert receipt.suitability_receipt_id > 0


async def test_the_answer_flips_when_the_grade_expires(people: People, shelf: Shelf) -> None:
    """Each answer is right by the time of its receipt: suitable before the expiry, not after."""
    manager, product_id = await manager_of(people, tokens(1)[0]), shelf.products[R3]
    assert (await manager.check(product_id)).suitable
    expiry = datetime.now(UTC) + SOON
    await manager.change(lambda customer: customer.risk_grade_expire_time.FromDatetime(expiry))
    seen: list[product_pb2.SuitabilityCheck] = []

    async def ask() -> bool:
        seen.append(await manager.check(product_id))
        return seen[-1].suitable

    await until(ask, lambda suitable: not suitable)
    assert list(seen[-1].reasons) == [EXPIRED]
    for check in seen:
        assert check.suitable == (check.create_time.ToDatetime(tzinfo=UTC) < expiry)


async def test_a_senior_needs_the_step_of_extra_care(people: People, shelf: Shelf) -> None:
    """65 or older × R4: refused until the step is done, whatever the grade."""

    def senior(customer: customer_pb2.Customer) -> None:
        customer.risk_grade, customer.senior = customer_pb2.RISK_GRADE_C5, True

    manager, product_id = await manager_of(people, tokens(1)[0], senior), shelf.products[R4]
    assert list((await manager.check(product_id)).reasons) == [EXTRA_CARE]
    assert (await manager.check(product_id, extra_care_done=True)).suitable
    words = await words_of(people, shelf, R4)
    receipt = (await manager.desk.text(manager.token, words)).receipt
    assert (receipt.decision, receipt.reason) == (DENIED, SUITABILITY)


class Examiner:
    """Gives and takes the qualification of one member of staff to sell funds, as head office."""

    def __init__(self, people: People, staff_id: int) -> None:
        self._learning: LearningServiceAsyncStub = learning_pb2_grpc.LearningServiceStub(
            people.as_user(MAKER, "learning")
        )
        self._staff_id = staff_id

    async def issue(self, term: timedelta = timedelta(days=365)) -> datetime:
        """He passed the exam; until when that holds."""
        request = learning_pb2.IssueQualificationRequest(
            staff_id=self._staff_id, code=FUND_SALES, source="EXAM", request_id=request_id()
        )
        expiry = datetime.now(UTC) + term
        request.expire_time.FromDatetime(expiry)
        await tried(lambda: self._learning.IssueQualification(request))
        return expiry

    async def revoke(self) -> None:
        """He may not any more."""
        request = learning_pb2.RevokeQualificationRequest(
            staff_id=self._staff_id, code=FUND_SALES, reason="A15", request_id=request_id()
        )
        await tried(lambda: self._learning.RevokeQualification(request))


async def test_a_lost_qualification_holds_from_the_next_send_on(
    people: People, shelf: Shelf
) -> None:
    """Revoked or run out: the next send is denied. The exam is passed: the next one is admitted."""
    first = tokens(1)[0]
    mine = [first + 8 * place for place in range(4)]  # of one manager
    await bring(people, customers(mine))
    manager, words = await manager_of(people, first), await words_of(people, shelf, FUND)
    examiner = Examiner(people, owner_of(first).staff_id)

    async def send(token: int) -> reach_pb2.AdmissionReceipt:
        return (await manager.desk.text(token, words)).receipt

    assert (await send(mine[0])).decision == ADMITTED
    await examiner.revoke()
    revoked = await send(mine[1])
    assert (revoked.decision, revoked.reason) == (DENIED, QUALIFICATION)
    await examiner.issue()
    assert (await send(mine[1])).decision == ADMITTED

    expiry = await examiner.issue(SOON)
    expired = await until(lambda: send(mine[2]), lambda found: found.reason == QUALIFICATION)
    assert expired.reason == QUALIFICATION
    assert expired.create_time.ToDatetime(tzinfo=UTC) >= expiry
    await examiner.issue()
    assert (await send(mine[3])).decision == ADMITTED
