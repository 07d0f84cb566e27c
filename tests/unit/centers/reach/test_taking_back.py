"""What must not leave any more does not, whatever moment it becomes known in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from centers.reach.caller import REGULATORY
from centers.reach.domain import Channel, ContactClass, State
from centers.reach.errors import ReachReason
from centers.reach.preference import Said
from centers.reach.rpc import ReachRpc
from centers.reach.rules import DEMO, Cap
from engine.action.v1 import action_pb2
from engine.materials.v1 import materials_pb2
from engine.product.v1 import product_pb2
from engine.reach.v1 import reach_pb2
from mesh import context
from mesh.context import Principal, RequestContext
from mesh.errors import MeshError

DAILY = replace(
    DEMO,
    caps=(
        Cap(
            channel=Channel.ALL,
            contact_class=ContactClass.MARKETING,
            window=timedelta(days=1),
            limit=1,
        ),
    ),
)


def failure(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="")


def recalled() -> materials_pb2.MaterialChanged:
    material = materials_pb2.Material(status=materials_pb2.MATERIAL_STATUS_RECALLED)
    material.definition.definition_id, material.definition.version = 5, 2
    return materials_pb2.MaterialChanged(material=material)


def product(status: product_pb2.ProductStatus.ValueType, product_id: int = 9) -> Any:
    suspended = product_pb2.Product(status=status)
    suspended.definition.definition_id = product_id
    return product_pb2.ProductChanged(product=suspended)


async def opt_out(desk: Any) -> None:
    await desk.say(Said.REFUSES)


async def recall(desk: Any) -> None:
    await desk.hear(desk.reactions.on_materials, recalled())


async def suspend(desk: Any) -> None:
    await desk.hear(desk.reactions.on_product, product(product_pb2.PRODUCT_STATUS_SUSPENDED))


async def end_task(desk: Any) -> None:
    task = action_pb2.Task(
        task_id=30, customer_id=1, owner_id=7, state=action_pb2.TASK_STATE_CANCELLED
    )
    task.update_time.FromDatetime(desk.clock.now() + timedelta(seconds=1))
    await desk.hear(desk.reactions.on_action, action_pb2.TaskChanged(task=task))


CAUSES = [
    (opt_out, "OPTED_OUT"),
    (recall, "RECALLED"),
    (suspend, "SUSPENDED"),
    (end_task, "TASK_CANCELLED"),
]


@pytest.mark.parametrize(("cause", "code"), CAUSES)
async def test_x3_what_is_refused_while_wecom_is_handed_it_is_withdrawn(
    desk: Any, cause: Any, code: str
) -> None:
    """The refusal falls between the look before the handover and WeCom's answer."""
    desk.gate.product_ids = (9,)
    await desk.task(30)
    made = await desk.ask(1, Channel.WECOM, task_id=30)
    desk.wecom.gate = asyncio.Event()
    handing_over = asyncio.create_task(desk.dispatch())
    await desk.wecom.busy.wait()
    await cause(desk)
    desk.wecom.gate.set()
    await handing_over
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, code)
    assert desk.wecom.withdrawn == [made.contact_id]


@pytest.mark.parametrize(("cause", "code"), CAUSES)
async def test_x3_what_is_refused_while_it_waits_for_its_member_is_withdrawn(
    desk: Any, cause: Any, code: str
) -> None:
    """Nobody can confirm it any more."""
    desk.gate.product_ids = (9,)
    await desk.task(30)
    made = await desk.ask(1, Channel.WECOM, task_id=30)
    await desk.dispatch()
    await cause(desk)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, code)
    assert desk.wecom.withdrawn == [made.contact_id]


@pytest.mark.parametrize("held", [False, True])
async def test_x3_what_wecom_took_before_a_crash_is_withdrawn_when_it_is_refused(
    desk: Any, *, held: bool
) -> None:
    """The answer was lost: WeCom is asked before the contact ends, also of a stopped scene."""
    await desk.task(30, scene=40)
    made = await desk.ask(1, Channel.WECOM, task_id=30)
    desk.wecom.failure = failure(grpc.StatusCode.DEADLINE_EXCEEDED)
    await desk.dispatch()
    if held:
        await desk.contacts.hold(40, held=True)
    await desk.say(Said.REFUSES)
    desk.wecom.failure = None
    desk.later(minutes=2)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.CANCELLED
    assert desk.wecom.withdrawn == [made.contact_id]
    assert desk.wecom.handed == []


async def test_what_wecom_never_had_ends_without_it(desk: Any) -> None:
    """It knows no such contact: there is nothing to be taken back."""
    made = await desk.ask(1, Channel.WECOM)
    desk.wecom.failure = failure(grpc.StatusCode.UNAVAILABLE)
    await desk.dispatch()
    await desk.say(Said.REFUSES)
    desk.wecom.failure = failure(grpc.StatusCode.NOT_FOUND)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, "OPTED_OUT")
    assert await desk.errands() == 0


async def test_a_product_on_sale_and_another_product_withdraw_nothing(desk: Any) -> None:
    """Product 9 is not product 19, and on sale is not suspended."""
    desk.gate.product_ids = (9, 29)
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    for told in (
        product(product_pb2.PRODUCT_STATUS_ON_SALE),
        product(product_pb2.PRODUCT_STATUS_SUSPENDED, 2),
        product(product_pb2.PRODUCT_STATUS_SUSPENDED, 19),
    ):
        await desk.hear(desk.reactions.on_product, told)
    await desk.dispatch()
    assert await desk.state(made.contact_id) is State.AWAIT_STAFF_CONFIRM


async def test_nobody_takes_back_a_message_to_another_customer(desk: Any) -> None:
    """The caller reaches customer 2; the message that waits in WeCom is customer 1's."""
    made = await desk.ask(1, Channel.WECOM)
    await desk.dispatch()
    with pytest.raises(MeshError) as refused:
        await desk.contacts.cancel(2, made.contact_id, lambda _: reach_pb2.CancelContactResponse())
    assert refused.value.reason is ReachReason.CONTACT_NOT_FOUND
    assert desk.wecom.withdrawn == []
    assert await desk.state(made.contact_id) is State.AWAIT_STAFF_CONFIRM


async def test_x3_what_was_held_up_takes_no_second_place_in_the_caps(desk: Any) -> None:
    """Its day passed while its scene was stopped, and another message went out meanwhile."""
    desk.rules = DAILY
    await desk.task(30, scene=40)
    held = await desk.ask(task_id=30)
    await desk.contacts.hold(40, held=True)
    desk.later(hours=25)
    other = await desk.ask()
    await desk.dispatch()
    desk.later(hours=1)
    await desk.contacts.hold(40, held=False)
    await desk.dispatch()
    assert await desk.state(other.contact_id) is State.SENT
    ended = await desk.contact(held.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, "CAP")


async def test_x3_the_caps_count_from_when_a_contact_left(desk: Any) -> None:
    """It was held up for ten hours: the next is admitted a day after it left, not before."""
    desk.rules = DAILY
    await desk.task(30, scene=40)
    await desk.ask(task_id=30)
    await desk.contacts.hold(40, held=True)
    desk.later(hours=10)
    await desk.contacts.hold(40, held=False)
    await desk.dispatch()
    desk.later(hours=23)
    denied = await desk.ask()
    assert denied.receipt.reason == reach_pb2.ADMISSION_CHECK_CAP
    desk.later(hours=1)
    assert (await desk.ask()).state == reach_pb2.CONTACT_STATE_QUEUED


async def test_x3_an_admission_of_days_ago_does_not_hold(desk: Any) -> None:
    """Consent, suitability and qualification were looked at then: it must be asked for anew."""
    await desk.task(30, scene=40)
    made = await desk.ask(task_id=30)
    await desk.contacts.hold(40, held=True)
    desk.later(hours=49)
    await desk.contacts.hold(40, held=False)
    await desk.dispatch()
    ended = await desk.contact(made.contact_id)
    assert (ended.state, ended.result_code) == (State.CANCELLED, "ADMISSION_OUT_OF_DATE")
    assert desk.sms.handed == []


@pytest.mark.parametrize("contact_class", [ContactClass.SERVICE, ContactClass.REGULATORY])
async def test_x3_what_offers_a_product_is_marketing_whatever_it_is_called(
    desk: Any, contact_class: ContactClass
) -> None:
    """Nobody passes the caps by another name."""
    desk.gate.product_ids = (9,)
    made = await desk.ask(1, Channel.SMS, contact_class)
    assert made.receipt.reason == reach_pb2.ADMISSION_CHECK_CONTENT
    assert made.receipt.checks[3].detail == "OFFERS_PRODUCT"


@pytest.mark.parametrize("permitted", [False, True])
async def test_x3_a_contact_past_all_refusals_needs_a_permission(
    desk: Any, *, permitted: bool
) -> None:
    """Whoever may send may not therefore say that the law wants it."""
    rpc = ReachRpc(
        admissions=desk.admissions,
        contacts=desk.contacts,
        preferences=desk.preferences,
        policies=None,  # type: ignore[arg-type]
        ids=desk.ids,
    )
    permissions = {"reach.send", *([REGULATORY] if permitted else [])}
    principal = Principal(subject="rm007", permissions=frozenset(permissions), staff_id=7)
    request = reach_pb2.SendSmsRequest(
        customer_id=1,
        content=reach_pb2.Content(material_id=5),
        contact_class=reach_pb2.CONTACT_CLASS_REGULATORY,
    )
    with context.using(RequestContext(principal=principal)):
        if permitted:
            answer = await rpc.SendSms(request, None)
            assert answer.contact.state == reach_pb2.CONTACT_STATE_QUEUED
            return
        with pytest.raises(MeshError) as refused:
            await rpc.SendSms(request, None)
    assert refused.value.reason is ReachReason.REGULATORY_NOT_PERMITTED
