"""Batches of results and reversals in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from centers.performance.domain import NO_CHAIN
from centers.performance.errors import PerformanceReason
from centers.performance.recording import Outcome
from engine.action.v1 import action_pb2
from mesh.errors import MeshError
from tests.unit.centers.performance.book import CHAIN, DAY, INFLOW, LOAN, Centre, reversal

NEXT_DAY = "2026-01-02"


async def reach(office: Centre) -> None:
    """Customer 1 was treated and reached."""
    await office.tell(office.opportunity(), office.contact())


async def test_a_result_is_credited_to_the_owners_by_their_shares(office: Centre) -> None:
    """With the chain that led to it, and an event that ends it (70 to 30)."""
    await reach(office)
    outcome = await office.record([office.fact(amount_fen=100_001)])
    assert outcome == Outcome(received=1, recorded=1, reversed=0, credits=2)
    first, second = await office.entries()
    assert [(one.owner_id, one.branch_id, one.amount_fen) for one in (first, second)] == [
        (31, 1, 70_001),
        (32, 2, 30_000),
    ]
    ((told, recorded),) = await office.events()
    assert told.key == "1"
    assert (recorded.counts, list(recorded.credit_ids)) == (True, [1, 2])
    assert told.chain.credit_id == first.credit_id
    told.chain.credit_id = 0
    assert told.chain == CHAIN
    totals = await office.totals(scene_version=5)
    assert (totals.total_fen, totals.unallocated_fen, totals.split_customers) == (100_001, 0, 1)


async def test_a_result_is_recorded_once(office: Centre) -> None:
    """Within a batch, and when the batch is sent again; its metric is part of its name."""
    fact = office.fact()
    other = office.fact(metric=LOAN, money_class="LOAN_DISBURSEMENT")
    outcome = await office.record([fact, fact, other])
    assert (outcome.recorded, outcome.duplicates) == (2, 1)
    again = await office.record([replace(fact, amount_fen=5), other])
    assert (again.recorded, again.duplicates, again.credits) == (0, 2, 0)
    assert (await office.totals()).total_fen == fact.amount_fen


@pytest.mark.parametrize(
    ("arm", "reached"), [(action_pb2.ARM_HOLDOUT, True), (action_pb2.ARM_TREATED, False)]
)
async def test_without_treatment_or_contact_a_result_is_nobodys(
    office: Centre, arm: int, *, reached: bool
) -> None:
    """The holdout has no chain either; who was treated keeps the chain as far as it goes."""
    task = action_pb2.TaskChanged(task=action_pb2.Task(task_id=8, customer_id=1, chain=CHAIN))
    await office.tell(office.opportunity(arm=arm), task, office.contact(reached=reached))
    await office.record([office.fact()])
    (entry,) = await office.entries()
    assert (entry.owner_id, entry.share_bp, entry.amount_fen) == (0, 10_000, 100_000)
    if arm == action_pb2.ARM_HOLDOUT:
        assert entry.chain == NO_CHAIN
    else:
        assert (entry.chain.opportunity_id, entry.chain.task_id) == (7, 8)
        assert entry.chain.contact_id == 0


async def test_what_adds_nothing_is_kept_without_credits(office: Centre) -> None:
    """Its event says so."""
    await reach(office)
    facts = [
        office.fact(name, money_class=name)
        for name in ("LOAN_DISBURSEMENT", "INTERNAL_OWN", "REDEMPTION")
    ]
    outcome = await office.record(facts)
    assert (outcome.recorded, outcome.credits) == (3, 0)
    assert [recorded.counts for _, recorded in await office.events()] == [False] * 3
    assert (await office.totals()).results == 0


async def test_a_drawdown_is_credited_and_adds_nothing_to_the_inflow(office: Centre) -> None:
    """And its reversal reverses the credit (A17)."""
    await reach(office)
    fact = office.fact(metric=LOAN, money_class="LOAN_DISBURSEMENT")
    await office.record([fact, replace(fact, metric=INFLOW)])
    drawn = await office.totals(metric=LOAN)
    assert [(one.owner_id, one.amount_fen) for one in drawn.owners] == [(31, 70_000), (32, 30_000)]
    assert (await office.totals()).total_fen == 0
    await office.record(reversals=[reversal(metric=LOAN)])
    drawn = await office.totals(metric=LOAN)
    assert (drawn.total_fen, drawn.owners, drawn.results) == (0, [], 0)


async def test_a_reversal_undoes_each_credit_on_its_own_day(office: Centre) -> None:
    """Once, however often it comes; the day of the result stays as it was."""
    await reach(office)
    await office.record([office.fact()])
    assert (await office.record(reversals=[reversal(day=NEXT_DAY)] * 2)).reversed == 1
    assert (await office.record(reversals=[reversal(day="2026-01-03")])).reversed == 0
    entries = await office.entries()
    assert [(one.amount_fen, one.reversed_credit_id) for one in entries] == [
        (70_000, 0),
        (30_000, 0),
        (-70_000, 1),
        (-30_000, 2),
    ]
    assert {one.business_date for one in entries[2:]} == {NEXT_DAY}
    told, recorded = (await office.events())[-1]
    assert (recorded.reversed, list(recorded.credit_ids)) == (True, [3, 4])
    assert told.chain.credit_id == 3
    assert (await office.totals(end=DAY)).total_fen == 100_000
    assert (await office.totals(start=NEXT_DAY)).total_fen == -100_000
    assert (await office.totals()).split_customers == 0


async def test_a_reversal_of_the_same_batch_applies(office: Centre) -> None:
    """The result is recorded, and taken back."""
    await reach(office)
    outcome = await office.record([office.fact()], [reversal()])
    assert outcome == Outcome(received=1, recorded=1, reversed=1, credits=4)
    assert (await office.totals()).total_fen == 0


async def test_a_reversal_that_comes_first_waits_for_its_result(office: Centre) -> None:
    """Which then counts nothing."""
    await reach(office)
    for _ in range(2):
        assert (await office.record(reversals=[reversal()])).reversed == 0
    outcome = await office.record([office.fact()])
    assert (outcome.recorded, outcome.credits) == (1, 0)
    ((_, recorded),) = await office.events()
    assert (recorded.counts, recorded.reversed) == (False, True)
    assert (await office.record(reversals=[reversal()])).reversed == 0
    assert (await office.totals()).results == 0


async def test_more_entries_than_were_expected_are_undone_too(office: Centre) -> None:
    """The ids for them are taken anew."""
    office.book.shares[1] = [(staff, 500, 1) for staff in range(1, 21)]
    await reach(office)
    await office.record([office.fact()])
    assert (await office.record(reversals=[reversal()])).credits == 20
    assert sum(one.amount_fen for one in await office.entries()) == 0


async def test_a_date_that_is_none_is_refused(office: Centre) -> None:
    """With its place in the batch; nothing of the batch is kept."""
    facts = [office.fact(), office.fact("R-2", business_date="2026-02-30")]
    with pytest.raises(MeshError) as refusal:
        await office.record(facts, [reversal(day="2026-13-01")])
    assert refusal.value.reason is PerformanceReason.DATE_INVALID
    assert [violation.field for violation in refusal.value.violations] == [
        "results[1].business_date",
        "reversals[0].business_date",
    ]
    assert await office.entries() == []


async def test_a_contact_counts_from_when_it_first_reached_its_customer(office: Centre) -> None:
    """A later change of it takes nothing from a result in between."""
    await office.tell(
        office.opportunity(),
        office.contact(age=timedelta(minutes=-5)),
        office.contact(age=timedelta(minutes=5)),
        office.contact(age=timedelta(minutes=-9)),
    )
    await office.record([office.fact()])
    assert {one.chain.contact_id for one in await office.entries()} == {9}
