"""Handing over to a WeCom that is away, refuses, dies in the middle, or answers too late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count

import grpc
import pytest

from centers.wecom.binding_rows import BindingStore
from centers.wecom.contacts import Contacts
from centers.wecom.domain import (
    CANCELLED,
    CREATED,
    FAILED,
    MEMBER_PENDING,
    Binding,
    MessageTask,
    Order,
)
from centers.wecom.errors import WecomReason
from centers.wecom.handover import Handover
from centers.wecom.outgoing import Away
from centers.wecom.reminder_rows import ReminderStore
from centers.wecom.reminding import Reminding
from centers.wecom.service import Messages
from centers.wecom.store import TaskStore
from engine.mesh.v1 import context_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.wecom.v1 import wecom_pb2
from mesh.clock import ManualClock
from mesh.errors import MeshError, MeshReason
from mesh.failed_call import FailedCall
from mesh.storage import Store

RM, CUSTOMER, CONTACT = 7, 11, 5
NOBODY = MeshError(MeshReason.UNAVAILABLE)


def failure(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="")


class Server:
    """WeCom in memory: it keeps what it takes, and fails when the test says so.

    `fails` is raised instead of an answer; with `takes` the task is kept all the same.
    """

    def __init__(self) -> None:
        self.tasks: dict[int, str] = {}
        self.confirmed: set[str] = set()
        self.reminded: list[str] = []
        self.fails: Exception | None = None
        self.takes = False
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def add(self, task: MessageTask) -> str:
        assert task.text == "您好"
        if self.fails is None or self.takes:
            self.tasks[task.contact_id] = f"msg-{task.contact_id}"
        await self._fail()
        return f"msg-{task.contact_id}"

    async def cancel(self, task: MessageTask) -> bool:
        await self._fail()
        if task.msgid in self.confirmed:
            return False
        self.tasks.pop(task.contact_id, None)
        return True

    async def remind(self, task: MessageTask) -> None:
        await self._fail()
        self.reminded.append(task.msgid)

    async def _fail(self) -> None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        if self.fails is NOBODY:
            await FailedCall(NOBODY)
        if self.fails is not None:
            raise self.fails


class Numbers:
    """Ids from memory."""

    def __init__(self) -> None:
        self._numbers = count(1)

    async def next(self) -> int:
        return next(self._numbers)


class Centre:
    """The adapter's parts on a store, with a WeCom that the test holds; rounds go by hand."""

    def __init__(self, store: Store, clock: ManualClock | None = None) -> None:
        self.store = store
        self.server = Server()
        self.clock = clock or ManualClock(datetime(2026, 11, 23, 9, tzinfo=UTC))
        self.tasks, self.reminders = TaskStore(store), ReminderStore(store)
        self.handover = Handover(self.tasks, self.server, self.clock)
        self.reminding = Reminding(self.reminders, self.server, self.clock)
        self.messages = Messages(
            self.tasks,
            self.reminders,
            self.server,
            Numbers(),
            self.clock,
            on_order=self.handover.wake,
            on_reminder=self.reminding.wake,
        )

    async def order(self, contact_id: int = CONTACT) -> MessageTask:
        binding = Binding(customer_id=CUSTOMER, external_userid="wm11", staff_id=RM)
        await Contacts(BindingStore(self.store), self.clock).bind([binding])
        return await self.messages.create(
            Order(
                contact_id=contact_id,
                customer_id=CUSTOMER,
                staff_id=RM,
                text="您好",
                chain=context_pb2.ChainIds(contact_id=contact_id),
            )
        )

    async def task(self, contact_id: int = CONTACT) -> MessageTask:
        found = await self.tasks.of_contact(contact_id)
        assert found is not None
        return found

    async def remind(self) -> None:
        task = await self.task()
        await self.messages.remind(task.message_task_id, lambda _: wecom_pb2.MessageTask())

    async def states_told(self) -> list[int]:
        events = [Event.FromString(raw) for _, raw in await self.store.outbox.read(100)]
        payloads = [wecom_pb2.MessageTaskChanged.FromString(one.payload) for one in events]
        return [one.message_task.state for one in payloads]


@pytest.fixture
def centre(store: Store) -> Centre:
    return Centre(store)


async def test_order_waits_for_a_wecom_that_is_not_there(centre: Centre) -> None:
    """Nothing is lost and nothing is told; once WeCom is there the task is handed over."""
    await centre.order()
    centre.server.fails = NOBODY
    for _ in range(2):
        with pytest.raises(Away):
            await centre.handover._round()
    assert (await centre.task()).standing.state == CREATED
    centre.server.fails = None
    assert await centre.handover._round()
    assert (await centre.task()).standing.state == MEMBER_PENDING
    assert not await centre.handover._round()
    assert await centre.states_told() == [CREATED, MEMBER_PENDING]


async def test_task_that_nobody_heard_of_is_cancelled_here(centre: Centre) -> None:
    """While WeCom is not there an order can be taken back, and is never handed over then."""
    await centre.order()
    centre.server.fails = NOBODY
    with pytest.raises(Away):
        await centre.handover._round()
    cancelled = await centre.messages.cancel(CONTACT)
    assert (cancelled.standing.state, cancelled.text) == (CANCELLED, "")
    centre.server.fails = None
    assert not await centre.handover._round()
    assert not centre.server.tasks


async def test_task_that_wecom_may_know_is_cancelled_there_too(centre: Centre) -> None:
    """The answer was lost on the way: only WeCom can say whether it is too late."""
    await centre.order()
    centre.server.fails, centre.server.takes = failure(grpc.StatusCode.UNAVAILABLE), True
    with pytest.raises(Away):
        await centre.handover._round()
    with pytest.raises(MeshError) as refused:
        await centre.messages.cancel(CONTACT)
    assert refused.value.reason is WecomReason.WECOM_UNAVAILABLE
    centre.server.fails = None
    assert (await centre.messages.cancel(CONTACT)).standing.state == CANCELLED
    assert not centre.server.tasks


async def test_cancelling_while_the_task_is_handed_over_ends_in_one_place(centre: Centre) -> None:
    """The hand-over's late answer does not bring back what was cancelled meanwhile."""
    await centre.order()
    centre.server.meanwhile = lambda: centre.messages.cancel(CONTACT)
    await centre.handover._round()
    assert (await centre.task()).standing.state == CANCELLED


async def test_task_confirmed_before_it_could_be_cancelled_stays(centre: Centre) -> None:
    """It is answered as it stands, and its callbacks move it on."""
    await centre.order()
    await centre.handover._round()
    msgid = (await centre.task()).msgid
    centre.server.confirmed = {msgid}
    assert (await centre.messages.cancel(CONTACT)).standing.state == MEMBER_PENDING
    await centre.messages.take_in(msgid, "wm11", "confirmed", "")
    assert (await centre.messages.cancel(CONTACT)).standing.state != CANCELLED


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS])
async def test_task_that_wecom_does_not_take_has_failed(
    centre: Centre, code: grpc.StatusCode
) -> None:
    """What would be refused again is not offered again."""
    await centre.order()
    centre.server.fails = failure(code)
    await centre.handover._round()
    task = await centre.task()
    assert (task.standing.state, task.standing.result_code, task.text) == (FAILED, "REJECTED", "")
    assert not await centre.handover._round()


async def test_task_that_wecom_stumbles_over_does_not_hold_up_others(centre: Centre) -> None:
    """It is offered again later, with growing delays."""
    await centre.order()
    centre.server.fails = failure(grpc.StatusCode.INTERNAL)
    for _ in range(2):
        await centre.handover._round()
        assert not await centre.handover._round()
        centre.clock.advance(0.2)
    centre.server.fails = None
    await centre.order(CONTACT + 1)
    await centre.handover._round()
    assert (await centre.task(CONTACT + 1)).standing.state == MEMBER_PENDING
    centre.clock.advance(1)
    await centre.handover._round()
    assert (await centre.task()).standing.state == MEMBER_PENDING


async def test_callback_may_overtake_the_answer_that_names_the_task(centre: Centre) -> None:
    """It is refused so that WeCom tells it again; then nothing is missing."""
    await centre.order()
    for _ in range(2):
        with pytest.raises(MeshError) as refused:
            await centre.messages.take_in("msg-5", "wm11", "confirmed", "")
        assert refused.value.reason is WecomReason.CALLBACK_UNKNOWN
        assert refused.value.retry_after_s is not None
    await centre.handover._round()
    await centre.messages.take_in("msg-5", "wm11", "delivered", "")
    await centre.messages.take_in("msg-5", "wm11", "confirmed", "")
    await centre.messages.take_in("msg-5", "wm11", "delivered", "")
    told = await centre.states_told()
    assert told == [CREATED, MEMBER_PENDING, wecom_pb2.MESSAGE_TASK_STATE_DELIVERED]


async def test_reminder_reaches_wecom_once(centre: Centre) -> None:
    """It waits while WeCom is away, and is dropped when WeCom refuses it."""
    await centre.order()
    await centre.handover._round()
    await centre.remind()
    centre.server.fails = failure(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(Away):
        await centre.reminding._round()
    centre.server.fails = None
    assert await centre.reminding._round()
    assert not await centre.reminding._round()
    assert centre.server.reminded == ["msg-5"]
    await centre.remind()
    centre.server.fails = failure(grpc.StatusCode.FAILED_PRECONDITION)
    assert await centre.reminding._round()
    centre.server.fails = None
    assert not await centre.reminding._round()
    assert centre.server.reminded == ["msg-5"]


async def test_reminder_of_a_task_that_does_not_wait_is_refused(centre: Centre) -> None:
    """There is nobody to be reminded before the member knows the task, nor afterwards."""
    await centre.order()
    with pytest.raises(MeshError) as refused:
        await centre.remind()
    assert refused.value.reason is WecomReason.MESSAGE_TASK_CLOSED


async def test_binding_a_customer_anew_replaces_his_binding(centre: Centre) -> None:
    """Two customers may even change places within one list."""
    contacts = Contacts(BindingStore(centre.store), centre.clock)

    def bindings(*externals: str) -> list[Binding]:
        return [
            Binding(customer_id=customer, external_userid=external, staff_id=RM)
            for customer, external in enumerate(externals, start=CUSTOMER)
        ]

    assert await contacts.bind(bindings("wm11", "wm12")) == 2
    assert await contacts.bind(bindings("wm12", "wm11")) == 2
    with pytest.raises(MeshError) as refused:
        await contacts.bind(bindings("wm11"))
    assert refused.value.reason is WecomReason.CONTACT_BOUND


async def test_unexpected_failure_does_not_end_the_work(centre: Centre) -> None:
    """The loop goes on after it, and hands over what waited."""
    handed_over = asyncio.Event()

    async def stumble() -> None:
        centre.server.meanwhile = tell
        raise LookupError

    async def tell() -> None:
        handed_over.set()

    await centre.order()
    centre.server.meanwhile = stumble
    async with asyncio.timeout(30), centre.handover:
        await handed_over.wait()
