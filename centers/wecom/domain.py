"""Bindings and message tasks. Pure rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from engine.mesh.v1 import context_pb2
from engine.wecom.v1 import wecom_pb2
from mesh.clock import to_micros
from mesh.errors import Violation

State: TypeAlias = wecom_pb2.MessageTaskState.ValueType

CREATED: Final = wecom_pb2.MESSAGE_TASK_STATE_CREATED
MEMBER_PENDING: Final = wecom_pb2.MESSAGE_TASK_STATE_MEMBER_PENDING
CONFIRMED: Final = wecom_pb2.MESSAGE_TASK_STATE_CONFIRMED
DELIVERED: Final = wecom_pb2.MESSAGE_TASK_STATE_DELIVERED
FAILED: Final = wecom_pb2.MESSAGE_TASK_STATE_FAILED
CANCELLED: Final = wecom_pb2.MESSAGE_TASK_STATE_CANCELLED

NOT_BOUND: Final = "NOT_BOUND"
"""The customer is nobody's external contact."""

NOT_FRIEND: Final = "NOT_FRIEND"
"""The customer was added by another member."""

REJECTED: Final = "REJECTED"
"""WeCom does not take the task."""

REMINDERS_A_DAY: Final = 3
REMINDER_WINDOW: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Which external contact a customer is, and which member of staff added him."""

    customer_id: int
    external_userid: str
    staff_id: int


def repeated(bindings: Sequence[Binding]) -> Iterator[Violation]:
    """Customers and external contacts that stand in the list twice."""
    seen: dict[int | str, int] = {}
    for index, binding in enumerate(bindings):
        for name in ("customer_id", "external_userid"):
            before = seen.setdefault(getattr(binding, name), index)
            if before != index:
                yield Violation(f"bindings[{index}].{name}", f"the same as bindings[{before}]")


_RANKS: Final = {
    state: rank
    for rank, state in enumerate((CREATED, MEMBER_PENDING, CANCELLED, CONFIRMED, FAILED, DELIVERED))
}
"""Later states go before earlier ones, whichever is heard of first. What went out
cannot be taken back, and what arrived has not failed.
"""

_CHANGES: Final = {
    "confirmed": CONFIRMED,
    "delivered": DELIVERED,
    "failed": FAILED,
    "cancelled": CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a message task stands, with WeCom's code when it failed."""

    state: State
    result_code: str = ""

    def after(self, told: Standing) -> Standing:
        """Where it stands once that is known too: the further of both.

        The order in which things become known makes no difference, nor does it
        when one is told again.
        """
        return max(self, told, key=lambda one: (_RANKS[one.state], one.result_code))


def told(change_type: str, result_code: str) -> Standing:
    """What a callback tells of a task."""
    state = _CHANGES[change_type]
    return Standing(state=state, result_code=result_code if state == FAILED else "")


def admitted(binding: Binding | None, staff_id: int) -> Standing:
    """Where a new task of a member stands: WeCom lets only him send who added the customer."""
    if binding is None:
        return Standing(state=FAILED, result_code=NOT_BOUND)
    if binding.staff_id != staff_id:
        return Standing(state=FAILED, result_code=NOT_FRIEND)
    return Standing(state=CREATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A message to be sent, and as part of what; `chain` names the contact too."""

    contact_id: int
    customer_id: int
    staff_id: int
    text: str
    chain: context_pb2.ChainIds


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTask:
    """A message to one customer that a member must confirm.

    The text itself is held only until WeCom has it; then `text` is empty. `offered`:
    WeCom may know the task, though it has not said so. `reminders` are those of the
    last 24 hours, where they were counted.
    """

    message_task_id: int
    contact_id: int
    customer_id: int
    staff_id: int
    external_userid: str
    text: str
    text_sha256: str
    standing: Standing
    chain: context_pb2.ChainIds
    create_time: datetime
    update_time: datetime
    msgid: str = ""
    offered: bool = False
    attempts: int = 0
    reminders: int = 0

    @property
    def userid(self) -> str:
        """The member's id in WeCom."""
        return f"staff-{self.staff_id}"

    @property
    def cursor(self) -> tuple[int, int]:
        """Its place in a list that has the oldest first."""
        return to_micros(self.create_time), self.message_task_id

    def is_of(self, order: Order) -> bool:
        """Whether this is the task that the order asks for."""
        ours = (self.contact_id, self.customer_id, self.staff_id, self.text_sha256)
        return ours == (order.contact_id, order.customer_id, order.staff_id, sha256(order.text))

    def after(self, told: Standing, now: datetime, *, msgid: str = "") -> MessageTask:
        """The task once that is known too; without its text when WeCom needs it no more."""
        standing = self.standing.after(told)
        known = msgid or self.msgid
        if (standing, known) == (self.standing, self.msgid):
            return self
        text = self.text if standing.state == CREATED else ""
        return replace(self, standing=standing, msgid=known, text=text, update_time=now)


def ordered(
    order: Order, binding: Binding | None, message_task_id: int, now: datetime
) -> MessageTask:
    """The task that an order makes, given the customer's binding."""
    standing = admitted(binding, order.staff_id)
    return MessageTask(
        message_task_id=message_task_id,
        contact_id=order.contact_id,
        customer_id=order.customer_id,
        staff_id=order.staff_id,
        external_userid=binding.external_userid if binding else "",
        text=order.text if standing.state == CREATED else "",
        text_sha256=sha256(order.text),
        standing=standing,
        chain=order.chain,
        create_time=now,
        update_time=now,
    )


def sha256(text: str) -> str:
    """What is kept of a text for good, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def next_reminder(reminders: Sequence[datetime], now: datetime) -> datetime | None:
    """When a task may be reminded of again; None when at once. `reminders` are in their order."""
    recent = [time for time in reminders if time > now - REMINDER_WINDOW]
    if len(recent) < REMINDERS_A_DAY:
        return None
    return recent[-REMINDERS_A_DAY] + REMINDER_WINDOW
