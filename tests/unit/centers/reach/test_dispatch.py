"""Handing contacts over: what may go out, what comes of it, and what survives a crash."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from centers.reach.admission import OPEN
from centers.reach.domain import Channel, Check, ContactClass, Finding, Report, State
from centers.reach.errors import ReachReason
from centers.reach.preference import Said
from centers.reach.preferences import PreferenceBook
from centers.reach.projection_rows import Barred, learn_barred
from centers.reach.quiet import QuietHours
from centers.reach.rules import BUILT_IN, DEMO
from engine.reach.v1 import reach_pb2
from mesh.errors import MeshError


def failure(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="")


UNAVAILABLE = failure(grpc.StatusCode.UNAVAILABLE)


async def states_told(desk: Any) -> list[State]:
    return [State(contact.state) for contact in await desk.told()]


@pytest.mark.parametrize(
    ("channel", "party", "state", "errands"),
    [
        (Channel.SMS, "sms", State.SENT, 0),
        (Channel.CALL, "calls", State.DISPATCHED, 0),
        (Channel.AI_CALL, "calls", State.DISPATCHED, 0),
        (Channel.WECOM, "wecom", State.AWAIT_STAFF_CONFIRM, 1),
    ],
)
async def test_each_channel_has_its_party(
    desk: Any, channel: Channel, party: str, state: State, errands: int
) -> None:
    """A message is sent once accepted, a call is heard of later, WeCom waits for its member."""
    made = await desk.ask(1, channel)
    await desk.dispatch()
    assert [contact for contact, _ in getattr(desk, party).handed] == [made.contact_id]
    assert await desk.state(made.contact_id) is state
    assert await desk.errands() == errands


async def test_each_change_is_told(desk: Any) -> None:
    """From the queue to the customer."""
    made = await desk.ask()
    await desk.dispatch()
    await desk.contacts.report(made.contact_id, Report(state=State.DELIVERED))
    assert await states_told(desk) == [
        State.QUEUED,
        State.DISPATCHED,
        State.SENT,
        State.DELIVERED,
    ]


async def test_a_party_that_cannot_be_reached_is_tried_again_with_the_same_key(
    desk: Any,
) -> None:
    """It stays dispatched, with longer and longer times between the tries."""
    made = await desk.ask()
    desk.sms.failure = UNAVAILABLE
    for wait_s in (0, 1, 2, 4):
        desk.later(seconds=wait_s)
        await desk.dispatch()
        assert await desk.state(made.contact_id) is State.DISPATCHED
    desk.sms.failure = None
    await desk.dispatch()
    assert desk.sms.handed == []
    desk.later(seconds=8)
    await desk.dispatch()
    assert [contact for contact, _ in desk.sms.handed] == [made.contact_id]
    assert await desk.state(made.contact_id) is State.SENT


async def test_a_call_is_given_up_soon_and_its_place_given_back(desk: Any) -> None:
    """Nobody waits an hour at his telephone: the next attempt is admitted."""
    made = await desk.ask(1, Channel.CALL)
    desk.calls.failure = UNAVAILABLE
    await desk.dispatch()
    desk.later(minutes=3)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.FAILED, "CARRIER_UNREACHABLE")
    assert (await desk.ask()).state == reach_pb2.CONTACT_STATE_QUEUED


async def test_a_refusal_for_good_ends_the_contact(desk: Any) -> None:
    """WeCom does not know the customer: it failed, with the code, and is not tried again."""
    made = await desk.ask(1, Channel.WECOM)
    desk.wecom.failure = failure(grpc.StatusCode.NOT_FOUND)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.FAILED, "NOT_FOUND")
    assert await desk.errands() == 0


@pytest.mark.parametrize(
    ("state", "handed"),
    [(State.QUEUED, 1), (State.DISPATCHED, 1), (State.SENT, 0), (State.CANCELLED, 0)],
)
async def test_after_a_crash_what_no_party_answered_for_is_handed_over_again(
    desk: Any, state: State, handed: int
) -> None:
    """What a party answered for, or what is over, is not."""
    made = await desk.ask()
    await desk.store_state(made.contact_id, state)
    await desk.dispatch()
    assert len(desk.sms.handed) == handed
    assert await desk.errands() == 0


async def test_a_wecom_message_that_was_created_before_a_crash_waits_for_its_member(
    desk: Any,
) -> None:
    """Created again it is the same task; then it waits, and expires in its time."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    assert await desk.errands() == 1
    desk.later(hours=25)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.EXPIRED, "NOT_CONFIRMED")
    assert desk.wecom.withdrawn == [made.contact_id]
    assert await desk.errands() == 0


async def test_a_message_that_was_confirmed_in_the_last_moment_does_not_expire(
    desk: Any,
) -> None:
    """WeCom says that it is out: it is sent."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    desk.wecom.outcome = Report(state=State.SENT)
    desk.later(hours=25)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.SENT


async def test_the_time_for_confirmation_is_the_policy_s(desk: Any) -> None:
    """Ten minutes, when it says so."""
    desk.rules = replace(DEMO, confirm_within=BUILT_IN.confirm_within / 144)
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    desk.later(minutes=9)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.AWAIT_STAFF_CONFIRM
    desk.later(minutes=2)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.EXPIRED


async def test_a_deferred_contact_goes_out_by_itself_when_quiet_hours_end(desk: Any) -> None:
    """Not before, and without being asked for again."""
    desk.rules = BUILT_IN
    desk.later(hours=15)  # 23:00 at the bank
    made = await desk.ask()
    desk.later(hours=8, minutes=59)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.DEFERRED
    desk.later(minutes=1)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.SENT


async def test_what_was_held_up_into_the_night_waits_for_the_morning(desk: Any) -> None:
    """Admitted by day, held with its scene, and resumed at night: it is deferred."""
    desk.rules = BUILT_IN
    await desk.task(30, scene=40)
    made = await desk.ask(task_id=30)
    await desk.contacts.hold(40, held=True)
    await desk.dispatch()
    desk.later(hours=15)
    await desk.contacts.hold(40, held=False)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.DEFERRED
    desk.later(hours=9)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.SENT


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.CALL, Channel.WECOM])
async def test_a4_after_an_opt_out_nothing_goes_out_on_any_queue(
    desk: Any, channel: Channel
) -> None:
    """What was admitted before it, and waits, is taken back; the cap's place with it."""
    made = await desk.ask(1, channel)
    await desk.say(Said.REFUSES)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, "OPTED_OUT")
    assert not desk.sms.handed
    assert not desk.calls.handed
    assert not desk.wecom.handed


async def test_an_opt_out_stops_what_a_party_did_not_take_yet(desk: Any) -> None:
    """A message that is tried again meets the refusal."""
    made = await desk.ask()
    desk.sms.failure = UNAVAILABLE
    await desk.dispatch()
    await desk.say(Said.REFUSES, Channel.SMS)
    desk.sms.failure = None
    desk.later(seconds=2)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.CANCELLED
    assert desk.sms.handed == []


async def test_an_opt_out_withdraws_a_message_that_waits_in_wecom(desk: Any) -> None:
    """The member cannot confirm it any more; other channels' contacts stay."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    await desk.say(Said.REFUSES, Channel.SMS)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.AWAIT_STAFF_CONFIRM
    await desk.say(Said.REFUSES, Channel.WECOM)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, "OPTED_OUT")


@pytest.mark.parametrize(
    ("kind", "subject", "code"),
    [(Barred.MATERIAL, 5, "RECALLED"), (Barred.PRODUCT, 9, "SUSPENDED")],
)
async def test_what_was_recalled_or_suspended_after_admission_does_not_go_out(
    desk: Any, kind: Barred, subject: int, code: str
) -> None:
    """What speaks of others does."""
    desk.gate.product_ids = (9,)
    async with desk.store.transaction() as tx:
        await learn_barred(tx, kind, subject + 1, barred=True)
    other = await desk.ask(2)
    await desk.dispatch()
    assert await desk.state(other.contact_id) is State.SENT
    made = await desk.ask()
    async with desk.store.transaction() as tx:
        await learn_barred(tx, kind, subject, barred=True)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, code)


async def test_x14_a_stopped_scene_waits_and_others_go_on(desk: Any) -> None:
    """What is queued stays queued; resumed, it goes out. New attempts are denied."""
    await desk.task(30, 1, scene=40)
    await desk.task(31, 2, scene=41)
    held, other = await desk.ask(1, task_id=30), await desk.ask(2, task_id=31)
    await desk.contacts.hold(40, held=True)
    await desk.dispatch()
    assert await desk.state(held.contact_id) is State.QUEUED
    assert await desk.state(other.contact_id) is State.SENT
    await desk.task(32, 3, scene=40)
    denied = await desk.ask(3, task_id=32)
    assert denied.receipt.reason == reach_pb2.ADMISSION_CHECK_SCENE_RUNS
    await desk.contacts.hold(40, held=False)
    await desk.dispatch()
    assert await desk.state(held.contact_id) is State.SENT


async def test_x14_what_was_decided_later_holds_in_whichever_order_it_comes(desk: Any) -> None:
    """A pause that arrives after the resume that followed it stops nothing, for each version."""
    await desk.task(30, 1, scene=40)
    await desk.task(31, 2, scene=41)
    made = [(await desk.ask(one, task_id=task)).contact_id for one, task in ((1, 30), (2, 31))]
    decided = desk.clock.now()
    await desk.contacts.hold(40, held=False, told=decided + timedelta(seconds=1))
    await desk.contacts.hold(40, 41, held=True, told=decided)
    await desk.dispatch()
    assert [await desk.state(one) for one in made] == [State.SENT, State.QUEUED]


async def test_x14_stopping_a_scene_waits_for_what_is_being_handed_over(desk: Any) -> None:
    """It returns once the party has answered, and not before."""
    await desk.task(30, scene=40)
    made = await desk.ask(task_id=30)
    desk.sms.gate = asyncio.Event()
    async with desk.dispatcher():
        await desk.sms.busy.wait()
        stopping = asyncio.create_task(desk.contacts.hold(41, 40, held=True))
        await asyncio.wait([stopping], timeout=0.02)
        assert not stopping.done()
        desk.sms.gate.set()
        await stopping
        assert [contact for contact, _ in desk.sms.handed] == [made.contact_id]


async def test_the_dispatcher_hands_over_what_is_due_by_itself(desk: Any) -> None:
    """More than it does at once, each once."""
    made = [await desk.ask(customer) for customer in range(1, 81)]
    async with desk.dispatcher(), asyncio.timeout(10), desk.sms.news:
        await desk.sms.news.wait_for(lambda: len(desk.sms.handed) == len(made))
    assert sorted(contact for contact, _ in desk.sms.handed) == [one.contact_id for one in made]


async def test_a_contact_that_waits_can_be_taken_back_and_one_that_left_cannot(
    desk: Any,
) -> None:
    """Its place in the caps comes back with it."""

    async def cancel(contact_id: int) -> reach_pb2.Contact:
        answer = await desk.contacts.cancel(
            1,
            contact_id,
            lambda made: reach_pb2.CancelContactResponse(
                contact=reach_pb2.Contact(state=reach_pb2.ContactState.ValueType(made.state))
            ),
        )
        contact: reach_pb2.Contact = answer.contact
        return contact

    first = await desk.ask()
    assert (await cancel(first.contact_id)).state == reach_pb2.CONTACT_STATE_CANCELLED
    waiting = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    assert (await cancel(waiting.contact_id)).state == reach_pb2.CONTACT_STATE_CANCELLED
    assert desk.wecom.withdrawn == [waiting.contact_id]
    second = await desk.ask()
    await desk.dispatch()
    with pytest.raises(MeshError) as refused:
        await cancel(second.contact_id)
    assert refused.value.reason is ReachReason.CONTACT_GONE_OUT


async def test_quiet_hours_set_after_admission_hold(desk: Any) -> None:
    """The customer says at nine that he rests until ten: the queued message waits."""
    made = await desk.ask()
    book: PreferenceBook = desk.preferences
    await book.rest(  # it is 08:00 at the bank
        1, QuietHours(7 * 60, 10 * 60), lambda _: reach_pb2.SetQuietHoursResponse()
    )
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.DEFERRED
    desk.later(hours=2)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.SENT


async def test_x3_a_denied_contact_never_goes_out(desk: Any) -> None:
    """Not even a regulatory one, when its words are not approved."""
    desk.gate.gates = replace(OPEN, content=Finding(Check.CONTENT, False, "EXPIRED"))
    for contact_class in (ContactClass.MARKETING, ContactClass.REGULATORY):
        await desk.ask(1, Channel.SMS, contact_class)
    await desk.dispatch()
    assert desk.sms.handed == []
