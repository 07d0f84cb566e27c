"""What a claim is answered, and what becomes of a grant."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from centers.benefits import events, grant_rows, task_rows
from centers.benefits.domain import Stock, Terms
from centers.benefits.errors import BenefitsReason
from centers.benefits.task_rows import Task
from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.product.v1 import product_pb2
from mesh.errors import MeshError
from mesh.events import event
from tests.unit.centers.benefits.counter import Centre

CHAIN = ChainIds(scene_version=5, trigger_id=6, opportunity_id=7, task_id=8)
DAY = timedelta(days=1)


def told(shop: Centre, state: int, *, age: timedelta = timedelta()) -> action_pb2.TaskChanged:
    """Task 8 of customer 1, as the action centre tells of it."""
    task = action_pb2.Task(
        task_id=8,
        customer_id=1,
        state=action_pb2.TaskState.ValueType(state),
        chain=ChainIds(scene_version=5, trigger_id=6, opportunity_id=7),
    )
    task.update_time.FromDatetime(shop.clock.now() - age)
    return action_pb2.TaskChanged(task=task)


async def tell(shop: Centre, changed: action_pb2.TaskChanged) -> None:
    effect = await events.on_action(event(changed, key=1))
    assert effect is not None
    async with shop.store.transaction() as tx:
        await effect(tx)


async def refused(work: object) -> BenefitsReason:
    with pytest.raises(MeshError) as refusal:
        await work  # type: ignore[misc]
    reason = refusal.value.reason
    assert isinstance(reason, BenefitsReason)
    return reason


async def test_the_same_reason_gets_the_same_grant_whatever_became_of_it(shop: Centre) -> None:
    """Also after the activity has ended, and after the grant was taken back."""
    end = shop.clock.now() + DAY
    await shop.open(Terms(limit_per_customer=1, start=None, end=end), issued=5)
    made = await shop.claim(1)
    shop.clock.advance(2 * DAY.total_seconds())
    assert await shop.claim(1) == made
    revoked = await shop.revoke(made.grant_id)
    assert await shop.claim(1) == revoked
    assert (await shop.stock()).available == 5


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (DAY, None, BenefitsReason.CLAIMS_NOT_BEGUN),
        (None, timedelta(), BenefitsReason.CLAIMS_OVER),
    ],
)
async def test_claims_are_taken_within_the_window_alone(
    shop: Centre, start: timedelta | None, end: timedelta | None, reason: BenefitsReason
) -> None:
    """From the start on, and until the end."""
    now = shop.clock.now()

    def at(after: timedelta | None) -> datetime | None:
        return None if after is None else now + after

    await shop.open(Terms(limit_per_customer=1, start=at(start), end=at(end)), issued=1)
    assert await refused(shop.claim(1)) is reason
    assert (await shop.stock()).available == 1


async def test_a_revoked_grant_makes_room_for_another_reason(shop: Centre) -> None:
    """The limit counts what stands."""
    await shop.open(Terms(limit_per_customer=1, start=None, end=None), issued=2)
    first = await shop.claim(1, "a")
    assert await refused(shop.claim(1, "b")) is BenefitsReason.LIMIT_REACHED
    await shop.revoke(first.grant_id)
    assert (await shop.claim(1, "b")).state == benefits_pb2.GRANT_STATE_GRANTED


async def test_an_activity_that_was_never_approved_gives_nothing(shop: Centre) -> None:
    """Neither claims nor stock."""
    assert await refused(shop.claim(1)) is BenefitsReason.ACTIVITY_NOT_OPEN
    assert await refused(shop.issue(1)) is BenefitsReason.ACTIVITY_NOT_OPEN


async def test_issued_stock_goes_to_who_waits_longest_first(
    shop: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks, each with its events, all in one transaction."""
    monkeypatch.setattr(grant_rows, "PROMOTED_AT_ONCE", 2)
    await shop.open()
    waiting = [await shop.claim(customer) for customer in range(1, 8)]
    told_before = len(await shop.events())
    counted = await shop.issue(5)
    assert (counted.available, counted.granted, counted.wait_listed) == (0, 5, 2)
    told = (await shop.events())[told_before:]
    assert [one.grant_id for one in told] == [one.grant_id for one in waiting[:5]]
    assert {one.state for one in told} == {benefits_pb2.GRANT_STATE_GRANTED}
    assert {one.chain.grant_id for one in told} == {one.grant_id for one in told}


async def test_a_revoked_grant_passes_to_the_head_of_the_wait_list(shop: Centre) -> None:
    """And the stock shows no moment at which it was available."""
    await shop.open(issued=1)
    first, second, third = [await shop.claim(customer) for customer in (1, 2, 3)]
    await shop.revoke(first.grant_id)
    await shop.revoke(first.grant_id)
    assert await shop.stock() == Stock(issued=1, granted=1, wait_listed=1)
    assert (await shop.giving.get(second.grant_id)).state == benefits_pb2.GRANT_STATE_GRANTED
    assert (await shop.giving.get(third.grant_id)).state == benefits_pb2.GRANT_STATE_WAIT_LISTED


async def test_who_leaves_the_wait_list_is_passed_over(shop: Centre) -> None:
    """His place is nobody's."""
    await shop.open()
    first, second = await shop.claim(1), await shop.claim(2)
    await shop.revoke(first.grant_id)
    await shop.issue(1)
    assert (await shop.giving.get(second.grant_id)).state == benefits_pb2.GRANT_STATE_GRANTED


async def test_what_was_used_stays_used(shop: Centre) -> None:
    """It is neither used again nor taken back; a claim that waits cannot be used."""
    await shop.open(issued=1)
    used, waiting = await shop.claim(1), await shop.claim(2)
    await shop.redeem(used.grant_id)
    for grant_id in (used.grant_id, waiting.grant_id):
        assert await refused(shop.redeem(grant_id)) is BenefitsReason.NOT_GRANTED
    assert await refused(shop.revoke(used.grant_id)) is BenefitsReason.ALREADY_REDEEMED
    assert await refused(shop.redeem(99)) is BenefitsReason.GRANT_NOT_FOUND


async def test_a_grant_carries_what_led_to_its_task(shop: Centre) -> None:
    """Scene, trigger and opportunity come from the task's own events."""
    await shop.open(issued=1)
    await tell(shop, told(shop, action_pb2.TASK_STATE_ASSIGNED))
    made = await shop.claim(1, chain=ChainIds(task_id=8))
    chain = ChainIds()
    chain.CopyFrom(CHAIN)
    chain.grant_id = made.grant_id
    assert made.chain == chain
    assert (await shop.events())[-1] == made
    assert (await shop.giving.get(made.grant_id)).chain == chain


async def test_a_claim_waits_for_the_event_of_its_task(
    shop: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a second; after that it is to be sent again."""
    await shop.open(issued=2)

    async def event_comes(_: float) -> None:
        await tell(shop, told(shop, action_pb2.TASK_STATE_ASSIGNED))

    with monkeypatch.context() as while_it_waits:
        while_it_waits.setattr(shop.clock, "sleep", event_comes)
        made = await shop.claim(1, chain=ChainIds(task_id=8))
    assert made.chain.scene_version == 5
    began = shop.clock.monotonic()
    unknown = shop.claim(1, "other", chain=ChainIds(task_id=9))
    assert await refused(unknown) is BenefitsReason.TASK_UNKNOWN
    assert shop.clock.monotonic() - began == pytest.approx(1.0)


async def test_nothing_new_is_granted_for_a_task_that_was_taken_back(shop: Centre) -> None:
    """What was granted before stays; an older event that comes late changes nothing (X10)."""
    await shop.open(issued=5)
    await tell(shop, told(shop, action_pb2.TASK_STATE_ASSIGNED, age=DAY))
    before = await shop.claim(1, "before", chain=ChainIds(task_id=8))
    await tell(shop, told(shop, action_pb2.TASK_STATE_CANCELLED))
    await tell(shop, told(shop, action_pb2.TASK_STATE_ASSIGNED, age=DAY))
    after = shop.claim(1, "after", chain=ChainIds(task_id=8))
    assert await refused(after) is BenefitsReason.TASK_WITHDRAWN
    assert await shop.claim(1, "before", chain=ChainIds(task_id=8)) == before
    assert before.state == benefits_pb2.GRANT_STATE_GRANTED


async def test_a_task_is_about_its_own_customer(shop: Centre) -> None:
    """Another customer is granted nothing for it."""
    await shop.open(issued=1)
    async with shop.store.transaction() as tx:
        task = Task(task_id=8, customer_id=2, state=1, chain=CHAIN, update_time=shop.clock.now())
        await task_rows.learn(tx, task)
    claim = shop.claim(1, chain=ChainIds(task_id=8))
    assert await refused(claim) is BenefitsReason.TASK_OF_ANOTHER_CUSTOMER


async def test_other_events_of_the_topic_are_left_alone() -> None:
    """Whatever else is told there."""
    other = event(product_pb2.ProductChanged(), topic="action")
    assert await events.on_action(other) is None
