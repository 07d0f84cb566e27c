"""The WeCom adapter over real sockets, with the played WeCom and the real sequencer and bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
import pytest_asyncio
import sqlalchemy as sa

from centers.wecom.app import BLUEPRINT
from centers.wecom.tables import message_task
from engine.mesh.v1 import context_pb2, policy_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc
from mesh import context
from mesh.bus.app import BLUEPRINT as BUS
from mesh.context import RequestContext
from mesh.errors import ErrorView
from mesh.events import Effect, Subscription
from mesh.service import Blueprint, Service
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER
from simulators.wecom.app import BLUEPRINT as SERVER

pytestmark = pytest.mark.asyncio(loop_scope="module")

RM, OTHER_RM = 7, 8
WITHIN_S = 30.0
TEXT = "您的存款即将到期"

CREATED, PENDING, CONFIRMED, DELIVERED, FAILED, CANCELLED = (
    wecom_pb2.MESSAGE_TASK_STATE_CREATED,
    wecom_pb2.MESSAGE_TASK_STATE_MEMBER_PENDING,
    wecom_pb2.MESSAGE_TASK_STATE_CONFIRMED,
    wecom_pb2.MESSAGE_TASK_STATE_DELIVERED,
    wecom_pb2.MESSAGE_TASK_STATE_FAILED,
    wecom_pb2.MESSAGE_TASK_STATE_CANCELLED,
)


class Listener:
    """A service that hears the topic "wecom"."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Condition()

    async def heard(self, contact_id: int, *states: int) -> list[wecom_pb2.MessageTask]:
        """The task of a contact as each event showed it, once it stood in the last state."""

        def told() -> list[wecom_pb2.MessageTask]:
            shown = [
                wecom_pb2.MessageTaskChanged.FromString(event.payload).message_task
                for event in self.events
            ]
            return [task for task in shown if task.contact_id == contact_id]

        async with asyncio.timeout(WITHIN_S), self._news:
            await self._news.wait_for(lambda: told() and told()[-1].state == states[-1])
        found = told()
        assert [task.state for task in found] == [*states]
        return found

    @property
    def blueprint(self) -> Blueprint:
        async def react(event: Event) -> Effect | None:
            async with self._news:
                # It has no store of its own to tell what it heard before.
                if event.event_id not in {known.event_id for known in self.events}:
                    self.events.append(event)
                self._news.notify_all()
            return None

        subscription = Subscription(group="listener", topic="wecom", react=react)
        return Blueprint(
            name="listener",
            build=lambda _: Service(servicers=[], subscriptions=[subscription]),
            migrations=SERVER.migrations,  # any schema: the inbox is the store's own
        )


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


_numbers = count(11)


@pytest.fixture
def number() -> int:
    """A customer, and a contact with him, of the test's own."""
    return next(_numbers)


async def start(mesh: Mesh, *blueprints: Blueprint) -> Mesh:
    mesh.trust("bank", {"wecom.bind", "wecom.send", "wecom.callback", "simulator.plan"})
    for blueprint in blueprints:
        mesh.trust(blueprint.name, blueprint.rights | {"bus.publish", "bus.consume"})
    for blueprint in blueprints:
        await mesh.start(blueprint)
    return mesh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(listener: Listener) -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            yield await start(mesh, BUS, SEQUENCER, SERVER, BLUEPRINT, listener.blueprint)


def adapter(mesh: Mesh) -> wecom_pb2_grpc.WecomServiceAsyncStub:
    return wecom_pb2_grpc.WecomServiceStub(mesh.channel("wecom", caller="bank"))


def member(mesh: Mesh, staff_id: int = RM) -> wecom_pb2_grpc.WecomServiceAsyncStub:
    token = mesh.token(
        f"rm{staff_id}",
        permissions={"wecom.read"},
        data_scope=policy_pb2.SCOPE_OWN_BOOK,
        staff_id=staff_id,
    )
    return wecom_pb2_grpc.WecomServiceStub(mesh.channel("wecom", token=token))


def wecom(mesh: Mesh) -> simulator_pb2_grpc.WecomSimulatorServiceAsyncStub:
    channel = mesh.channel("wecom-server", caller="bank")
    return simulator_pb2_grpc.WecomSimulatorServiceStub(channel)


async def bind(mesh: Mesh, *customer_ids: int, staff_id: int = RM) -> None:
    bindings = [
        wecom_pb2.Binding(customer_id=one, external_userid=f"wm{one}", staff_id=staff_id)
        for one in customer_ids
    ]
    answer = await adapter(mesh).BindContacts(wecom_pb2.BindContactsRequest(bindings=bindings))
    assert answer.stored == len(bindings)


def order(contact_id: int, customer_id: int, text: str = TEXT) -> Any:
    return wecom_pb2.CreateMessageTaskRequest(
        contact_id=contact_id, customer_id=customer_id, staff_id=RM, text=text
    )


async def create(mesh: Mesh, *args: Any, **kwargs: Any) -> wecom_pb2.MessageTask:
    return (await adapter(mesh).CreateMessageTask(order(*args, **kwargs))).message_task


async def confirm(mesh: Mesh, *msgids: str) -> int:
    request = simulator_pb2.ConfirmTasksRequest(userid=f"staff-{RM}", msgids=msgids)
    return (await wecom(mesh).ConfirmTasks(request)).confirmed


async def cancel(mesh: Mesh, contact_id: int) -> wecom_pb2.MessageTask:
    request = wecom_pb2.CancelMessageTaskRequest(contact_id=contact_id)
    return (await adapter(mesh).CancelMessageTask(request)).message_task


def remind(mesh: Mesh, message_task_id: int, request_id: str = "", staff_id: int = RM) -> Any:
    request = wecom_pb2.RemindMessageTaskRequest(
        message_task_id=message_task_id, request_id=request_id
    )
    return member(mesh, staff_id).RemindMessageTask(request)


async def waiting(mesh: Mesh, staff_id: int = RM) -> list[wecom_pb2.MessageTask]:
    """All pages of what waits for a member."""
    stub, token, found = member(mesh, staff_id), "", list[wecom_pb2.MessageTask]()
    while True:
        request = wecom_pb2.ListMyMessageTasksRequest(page_size=2, page_token=token)
        page = await stub.ListMyMessageTasks(request)
        found += page.message_tasks
        token = page.next_page_token
        if not token:
            return found


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def held_text(mesh: Mesh, contact_id: int) -> str:
    statement = sa.select(message_task.c.text).where(message_task.c.contact_id == contact_id)
    async with mesh.store("wecom") as store:
        ((text,),) = await store.fetch_all(statement)
    return str(text)


async def test_message_goes_out_once_its_member_confirms(
    served: Mesh, listener: Listener, number: int
) -> None:
    """Created, known to WeCom, confirmed, delivered; each step is told with its chain."""
    await bind(served, number)
    chain = context_pb2.ChainIds(scene_version=1, trigger_id=2, opportunity_id=3, task_id=4)
    with context.using(RequestContext(chain=chain)):
        task = await create(served, number, number)
    assert (task.state, task.msgid) == (CREATED, "")
    pending = (await listener.heard(number, CREATED, PENDING))[-1]
    assert await confirm(served, pending.msgid) == 1
    shown = await listener.heard(number, CREATED, PENDING, CONFIRMED, DELIVERED)
    chain.contact_id = number
    assert all(one.chain == chain for one in shown)
    events = [event for event in listener.events if event.key == str(number)]
    assert [event.chain for event in events] == [chain] * len(shown)
    assert (await create(served, number, number)).state == DELIVERED


async def test_text_is_held_only_until_wecom_has_it(
    served: Mesh, listener: Listener, number: int
) -> None:
    """The adapter's own database is free of it afterwards, and so is every event."""
    await bind(served, number)
    await create(served, number, number)
    await listener.heard(number, CREATED, PENDING)
    assert not await held_text(served, number)
    assert all(TEXT.encode() not in event.payload for event in listener.events)


@pytest.mark.parametrize("code", ["NOT_FRIEND", "LIMIT_REACHED"])
async def test_message_fails_as_wecom_says(
    served: Mesh, listener: Listener, number: int, code: str
) -> None:
    """WeCom's code is the task's."""
    await bind(served, number)
    plan = simulator_pb2.ContactPlan(external_userid=f"wm{number}", result_code=code)
    await wecom(served).PlanContacts(simulator_pb2.PlanContactsRequest(plans=[plan]))
    await create(served, number, number)
    pending = (await listener.heard(number, CREATED, PENDING))[-1]
    await confirm(served, pending.msgid)
    failed = (await listener.heard(number, CREATED, PENDING, CONFIRMED, FAILED))[-1]
    assert failed.result_code == code


async def test_unbound_customer_gets_no_message(
    served: Mesh, listener: Listener, number: int
) -> None:
    """Nothing is sent to WeCom; the task has failed at once and says why."""
    task = await create(served, number, number)
    assert (task.state, task.result_code) == (FAILED, "NOT_BOUND")
    await listener.heard(number, FAILED)
    assert not await held_text(served, number)


async def test_customer_of_another_member_gets_no_message(served: Mesh, number: int) -> None:
    """In WeCom only he can send who added the customer."""
    await bind(served, number, staff_id=OTHER_RM)
    task = await create(served, number, number)
    assert (task.state, task.result_code) == (FAILED, "NOT_FRIEND")


async def test_contact_has_one_message_task(served: Mesh, number: int) -> None:
    """The same order again answers the same task; another one is refused."""
    await bind(served, number)
    first = await create(served, number, number)
    assert (await create(served, number, number)).message_task_id == first.message_task_id
    refused = await refusal(create(served, number, number, text="改了"))
    assert refused.reason == "CONTACT_REUSED"


async def test_member_sees_what_waits_for_him(
    served: Mesh, listener: Listener, number: int
) -> None:
    """Oldest first, page by page; others see nothing of it, and confirmed ones leave."""
    await bind(served, number)
    contacts = [number * 1_000 + each for each in range(3)]
    for contact_id in contacts:
        await create(served, contact_id, number)
        await listener.heard(contact_id, CREATED, PENDING)

    async def ours(staff_id: int = RM) -> list[int]:
        found = await waiting(served, staff_id)
        return [task.contact_id for task in found if task.customer_id == number]

    assert await ours() == contacts
    assert await ours(OTHER_RM) == []
    await confirm(served, (await create(served, contacts[1], number)).msgid)
    await listener.heard(contacts[1], CREATED, PENDING, CONFIRMED, DELIVERED)
    assert await ours() == [contacts[0], contacts[2]]


async def test_member_is_reminded_three_times_a_day_at_most(
    served: Mesh, listener: Listener, number: int
) -> None:
    """A repeated call counts once; others cannot remind of his tasks."""
    await bind(served, number)
    message_task_id = (await create(served, number, number)).message_task_id
    refused = await refusal(remind(served, message_task_id, staff_id=OTHER_RM))
    assert refused.reason == "OUT_OF_SCOPE"
    await listener.heard(number, CREATED, PENDING)
    for request_id in ("1", "2", "3", "3"):
        answer = await remind(served, message_task_id, request_id)
        assert answer.message_task.reminders == int(request_id)
    refused = await refusal(remind(served, message_task_id, "4"))
    assert refused.reason == "REMINDED_ENOUGH"
    assert refused.retry_after_s is not None
    assert 86_000 < refused.retry_after_s <= 86_400
    shown = {task.message_task_id: task.reminders for task in await waiting(served)}
    assert shown[message_task_id] == 3


async def test_cancelled_task_cannot_be_confirmed(
    served: Mesh, listener: Listener, number: int
) -> None:
    """It is taken back at WeCom as well."""
    await bind(served, number)
    await create(served, number, number)
    pending = (await listener.heard(number, CREATED, PENDING))[-1]
    assert (await cancel(served, number)).state == CANCELLED
    assert (await cancel(served, number)).state == CANCELLED
    assert await confirm(served, pending.msgid) == 0
    await listener.heard(number, CREATED, PENDING, CANCELLED)


async def test_confirmed_task_cannot_be_cancelled(
    served: Mesh, listener: Listener, number: int
) -> None:
    """What went out is answered as it stands."""
    await bind(served, number)
    await create(served, number, number)
    pending = (await listener.heard(number, CREATED, PENDING))[-1]
    assert await confirm(served, pending.msgid) == 1
    assert (await cancel(served, number)).state != CANCELLED
    await listener.heard(number, CREATED, PENDING, CONFIRMED, DELIVERED)


async def test_contact_without_a_task_cannot_be_cancelled(served: Mesh, number: int) -> None:
    """The caller hears that there is none."""
    assert (await refusal(cancel(served, number))).reason == "MESSAGE_TASK_NOT_FOUND"


async def test_callback_of_an_unknown_task_is_to_be_sent_again(served: Mesh) -> None:
    """It may have overtaken the answer that names the msgid."""
    request = wecom_pb2.ReceiveCallbackRequest(msgid="msg-none", change_type="confirmed")
    refused = await refusal(adapter(served).ReceiveCallback(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "CALLBACK_UNKNOWN")


async def test_callback_for_another_contact_is_not_believed(
    served: Mesh, listener: Listener, number: int
) -> None:
    """An external contact never stands for a customer who is not bound to it."""
    await bind(served, number)
    await create(served, number, number)
    pending = (await listener.heard(number, CREATED, PENDING))[-1]
    request = wecom_pb2.ReceiveCallbackRequest(
        msgid=pending.msgid, external_userid="wm-other", change_type="delivered"
    )
    refused = await refusal(adapter(served).ReceiveCallback(request))
    assert refused.reason == "CALLBACK_UNKNOWN"
    assert (await create(served, number, number)).state == PENDING


async def test_external_contact_is_one_customer(served: Mesh, number: int) -> None:
    """Binding it to a second one is refused, and nothing of the list is stored."""
    await bind(served, number)
    second, third = number * 1_000, number * 1_000 + 1
    taken = [
        wecom_pb2.Binding(customer_id=second, external_userid=f"wm{second}", staff_id=RM),
        wecom_pb2.Binding(customer_id=third, external_userid=f"wm{number}", staff_id=RM),
    ]
    request = wecom_pb2.BindContactsRequest(bindings=taken)
    refused = await refusal(adapter(served).BindContacts(request))
    assert refused.reason == "CONTACT_BOUND"
    assert [one.field for one in refused.violations] == ["bindings[1].external_userid"]
    assert (await create(served, second, second)).result_code == "NOT_BOUND"


async def test_work_goes_on_where_it_was_when_services_die(var: Path) -> None:
    """An order taken while WeCom is away, and a callback owed while the adapter is, both arrive."""
    listener = Listener()
    async with Mesh(var) as mesh:
        await start(mesh, SEQUENCER, BLUEPRINT)
        await bind(mesh, 11)
        assert (await create(mesh, 5, 11)).state == CREATED
    async with Mesh(var) as mesh:
        await start(mesh, BUS, SERVER, BLUEPRINT, listener.blueprint)
        pending = (await listener.heard(5, CREATED, PENDING))[-1]
    async with Mesh(var) as mesh:
        await start(mesh, SERVER)
        assert await confirm(mesh, pending.msgid) == 1
    async with Mesh(var) as mesh:
        await start(mesh, BUS, SERVER, BLUEPRINT, listener.blueprint)
        await listener.heard(5, CREATED, PENDING, CONFIRMED, DELIVERED)
        assert await confirm(mesh, pending.msgid) == 0
