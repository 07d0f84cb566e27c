"""Causes that are learned after their result."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from centers.performance.entries import LedgerMoved
from mesh.events import event
from tests.unit.centers.performance.book import Centre, reversal

DAY_S = 86_400.0


def owners(entries: Any) -> list[tuple[int, int]]:
    return [(one.owner_id, one.amount_fen) for one in entries]


async def test_what_nobody_got_is_credited_when_its_cause_is_learned(office: Centre) -> None:
    """The entry is undone and written anew, on the day of the result; the sum stays."""
    fact = office.fact()
    await office.record([fact])
    facts = office.opportunity(), office.contact()
    await office.tell(*facts)
    totals = await office.totals()
    assert (totals.total_fen, totals.unallocated_fen) == (100_000, 0)
    assert owners(totals.owners) == [(31, 70_000), (32, 30_000)]
    entries = await office.entries()
    assert owners(entries[-2:]) == [(31, 70_000), (32, 30_000)]
    assert sum(one.amount_fen for one in entries) == fact.amount_fen
    assert {one.business_date for one in entries} == {fact.business_date}
    told, recorded = (await office.events())[-1]
    assert (told.chain.contact_id, told.chain.credit_id) == (9, entries[-2].credit_id)
    assert recorded.result_id == 1
    await office.tell(*facts)
    assert await office.entries() == entries


@pytest.mark.parametrize("order", [*permutations("oce")], ids="".join)
async def test_the_order_in_which_facts_come_does_not_matter(
    office: Centre, order: tuple[str, ...]
) -> None:
    """Opportunity, contact and result: the same credits in the end."""
    opportunity, contact, fact = office.opportunity(), office.contact(), office.fact()
    for step in order:
        if step == "e":
            await office.record([fact])
        else:
            await office.tell(opportunity if step == "o" else contact)
    totals = await office.totals(scene_version=5)
    assert (totals.total_fen, totals.results, totals.split_customers) == (100_000, 1, 1)
    assert owners(totals.owners) == [(31, 70_000), (32, 30_000)]


async def test_an_opportunity_alone_gives_the_result_its_scene(office: Centre) -> None:
    """It stays nobody's, and counts for the scene."""
    await office.record([office.fact()])
    assert (await office.totals(scene_version=5)).total_fen == 0
    await office.tell(office.opportunity())
    totals = await office.totals(scene_version=5)
    assert (totals.total_fen, totals.unallocated_fen, totals.results) == (100_000, 100_000, 1)


async def test_a_contact_after_the_money_led_to_nothing(office: Centre) -> None:
    """Nor does an opportunity whose event came after it."""
    await office.record([office.fact()])
    later = timedelta(minutes=-1)
    await office.tell(
        office.opportunity(), office.contact(age=later), office.opportunity(8, age=later)
    )
    totals = await office.totals()
    assert totals.unallocated_fen == 100_000
    assert (await office.totals(scene_version=5)).results == 1


async def test_after_a_day_a_result_stays_as_it_is(office: Centre) -> None:
    """To the second."""
    await office.record([office.fact("early")])
    office.clock.advance(1)
    await office.record([office.fact("late")])
    opportunity, contact = (
        office.opportunity(age=timedelta(hours=2)),
        office.contact(age=timedelta(hours=1)),
    )
    office.clock.advance(DAY_S)
    await office.tell(opportunity, contact)
    assert (await office.totals()).unallocated_fen == 100_000


async def test_what_was_taken_back_finds_no_cause(office: Centre) -> None:
    """The ledger is left as it is."""
    await office.record([office.fact()], [reversal()])
    before = await office.entries()
    await office.tell(office.opportunity(), office.contact())
    assert await office.entries() == before


async def test_what_somebody_got_stays_his(office: Centre) -> None:
    """Though a newer opportunity with a contact is learned of."""
    await office.tell(office.opportunity(), office.contact())
    await office.record([office.fact()])
    before = await office.entries()
    newer = timedelta(minutes=5)
    await office.tell(office.opportunity(17, age=newer), office.contact(19, opportunity_id=17))
    assert await office.entries() == before


async def test_a_result_that_slips_in_has_the_effect_decided_anew(office: Centre) -> None:
    """No ids were taken for it: rather none of the effect than half of it."""
    await office.tell(office.opportunity())
    told = event(office.contact())
    effect = await office.reactions.on_reach(told)
    assert effect is not None
    await office.record([office.fact()])
    with pytest.raises(LedgerMoved):
        async with office.store.transaction() as tx:
            await effect(tx)
    assert (await office.totals()).unallocated_fen == 100_000
    again = await office.reactions.on_reach(told)
    assert again is not None
    async with office.store.transaction() as tx:
        await again(tx)
    assert (await office.totals()).unallocated_fen == 0
