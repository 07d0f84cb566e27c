"""Admission over its real store: what it writes, and what many at once make of the caps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from centers.reach import tables
from centers.reach.admission import OPEN
from centers.reach.domain import Channel, Check, ContactClass, Finding, Report, State
from centers.reach.errors import ReachReason
from centers.reach.gates import Script
from centers.reach.preference import Said
from centers.reach.rules import BUILT_IN
from engine.reach.v1 import reach_pb2
from mesh.errors import MeshError
from mesh.storage import IdempotentCall, Replayed, idempotent_call

ADMITTED = reach_pb2.ADMISSION_DECISION_ADMITTED
DENIED = reach_pb2.ADMISSION_DECISION_DENIED


async def test_an_admitted_contact_has_its_receipt_chain_and_errand(desk: Any) -> None:
    """Contact, receipt, errand and event are there together."""
    await desk.task(30)
    made = await desk.ask(task_id=30)
    assert made.state == reach_pb2.CONTACT_STATE_QUEUED
    assert made.receipt.decision == ADMITTED
    assert len(made.receipt.checks) == 9
    assert (made.chain.scene_version, made.chain.trigger_id, made.chain.opportunity_id) == (
        40,
        41,
        42,
    )
    assert (made.chain.task_id, made.chain.contact_id) == (30, made.contact_id)
    assert await desk.errands() == 1
    told = await desk.told()
    assert [one.contact_id for one in told] == [made.contact_id]
    assert not told[0].receipt.checks, "events go without the details"


async def test_a_denied_contact_consumes_nothing(desk: Any) -> None:
    """It is an answer with its receipt; a later attempt meets no cap because of it."""
    desk.gate.gates = replace(OPEN, content=Finding(Check.CONTENT, False, "RECALLED"))
    denied = await desk.ask()
    assert (denied.state, denied.receipt.reason) == (
        reach_pb2.CONTACT_STATE_DENIED,
        reach_pb2.ADMISSION_CHECK_CONTENT,
    )
    assert await desk.errands() == 0
    desk.gate.gates = OPEN
    assert (await desk.ask()).receipt.decision == ADMITTED


async def test_a_deferred_contact_takes_its_place_at_once(desk: Any) -> None:
    """While it waits for the morning nobody else may contact the customer."""
    desk.rules = BUILT_IN
    desk.later(hours=15)  # 23:00 at the bank
    deferred = await desk.ask()
    assert deferred.state == reach_pb2.CONTACT_STATE_DEFERRED
    assert deferred.receipt.next_time.ToDatetime().hour == 0  # 08:00 at the bank
    assert (await desk.ask()).receipt.reason == reach_pb2.ADMISSION_CHECK_CAP


async def test_a4_the_cap_holds_when_three_scenes_contact_the_same_customers_at_once(
    desk: Any,
) -> None:
    """One contact for each customer, whichever scene was first; the others meet the cap."""
    customers, scenes = range(1, 41), (1, 2, 3)
    for customer in customers:
        for scene in scenes:
            await desk.task(customer * 10 + scene, customer, scene=scene)
    made = await asyncio.gather(
        *(
            desk.ask(customer, channel, task_id=customer * 10 + scene)
            for scene, channel in zip(
                scenes, (Channel.SMS, Channel.CALL, Channel.WECOM), strict=True
            )
            for customer in customers
        )
    )
    sent = [one for one in made if one.receipt.decision == ADMITTED]
    assert sorted(one.customer_id for one in sent) == list(customers)
    denied = [one for one in made if one.receipt.decision == DENIED]
    assert len(denied) == 2 * len(customers)
    assert {one.receipt.reason for one in denied} == {reach_pb2.ADMISSION_CHECK_CAP}


@pytest.mark.parametrize("end", [State.FAILED, State.EXPIRED])
async def test_what_did_not_come_about_gives_its_place_back_once(desk: Any, end: State) -> None:
    """However often it is reported, one more contact is admitted and no second one."""
    first = await desk.ask()
    await desk.dispatch()
    if end is State.EXPIRED:
        await desk.store_state(first.contact_id, State.AWAIT_STAFF_CONFIRM)
    for _ in range(3):
        await desk.contacts.report(first.contact_id, Report(state=end, result_code="X"))
    assert await desk.state(first.contact_id) is end
    second = await desk.ask()
    assert second.receipt.decision == ADMITTED
    await desk.contacts.report(first.contact_id, Report(state=end))
    assert (await desk.ask()).receipt.reason == reach_pb2.ADMISSION_CHECK_CAP


async def test_x3_every_contact_that_may_go_out_has_a_receipt_that_says_so(desk: Any) -> None:
    """There is no errand but of a contact that was admitted or deferred."""
    for customer in range(1, 30):
        if customer % 3 == 0:
            await desk.say(Said.REFUSES, customer_id=customer)
        for _ in range(customer % 4):
            await desk.ask(customer)
    of_contact = tables.errand.c.contact_id == tables.contact.c.contact_id
    found = sa.select(tables.contact.c.decision, tables.errand.c.contact_id)
    rows = await desk.store.fetch_all(
        found.select_from(tables.contact.outerjoin(tables.errand, of_contact))
    )
    assert rows
    for row in rows:
        assert (row.contact_id is None) == (row.decision == DENIED)


async def test_x1_the_same_call_again_has_the_same_answer_and_no_second_contact(
    desk: Any,
) -> None:
    """A repeated request finds its answer, though the cap would deny it now."""
    call = IdempotentCall(caller="rm007", method="SendSms", request_id="r1", request_hash=b"h")
    token = idempotent_call.set(call)
    first = await desk.ask()
    idempotent_call.set(replace(call))
    with pytest.raises(Replayed) as again:
        await desk.ask()
    idempotent_call.reset(token)
    assert reach_pb2.SendSmsResponse.FromString(again.value.response).contact == first
    assert len(await desk.told()) == 1


@pytest.mark.parametrize(
    ("customer", "owner", "task_id"), [(2, 7, 30), (1, 8, 30)], ids=["customer", "owner"]
)
async def test_a_task_of_another_customer_or_owner_is_refused(
    desk: Any, customer: int, owner: int, task_id: int
) -> None:
    """Nothing is written."""
    await desk.task(task_id, customer, owner=owner)
    with pytest.raises(MeshError) as refused:
        await desk.ask(task_id=task_id)
    assert refused.value.reason is ReachReason.TASK_NOT_YOURS
    assert await desk.told() == []


async def test_a_task_that_nobody_told_of_yet_is_waited_for(desk: Any) -> None:
    """Events lag a little: the contact is made once the task is known."""

    async def tell(_: float) -> None:
        await desk.task(30)

    desk.clock.sleep = tell
    assert (await desk.ask(task_id=30)).chain.task_id == 30


async def test_a_task_that_never_comes_is_refused_after_a_second(desk: Any) -> None:
    """The caller hears that he may try again."""
    before = desk.clock.monotonic()
    with pytest.raises(MeshError) as refused:
        await desk.ask(task_id=99)
    assert refused.value.reason is ReachReason.TASK_UNKNOWN
    assert desk.clock.monotonic() - before == pytest.approx(1.0)


async def test_x7_numbers_of_persons_do_not_get_into_a_text(desk: Any) -> None:
    """A slot with a telephone number is refused before anybody is asked."""
    with pytest.raises(MeshError) as refused:
        await desk.ask(script=Script(material_id=5, slots={"greeting": "王 138 0013 8000"}))
    assert refused.value.reason is ReachReason.PERSONAL_DATA_IN_SLOT


async def test_it_says_by_the_same_rules_which_channels_are_open(desk: Any) -> None:
    """After a contact all marketing is closed for a week; service is not; nothing is consumed."""
    await desk.ask()
    closed = await desk.admissions.contactable(1, ContactClass.MARKETING)
    assert {one.channel for one in closed if one.obstacles} == set(Channel) - {Channel.ALL}
    week = {(one.next_time - desk.clock.now()).days for one in closed if one.next_time}
    assert week == {7}
    opened = await desk.admissions.contactable(1, ContactClass.SERVICE)
    assert not any(one.obstacles for one in opened)
    assert len(await desk.told()) == 1
