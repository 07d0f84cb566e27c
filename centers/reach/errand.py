"""What is still to be done about a contact, and whether it may be done now. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from centers.reach.admission import Attempt, Counted, obstacle, quiet_hours
from centers.reach.domain import WAITING, Channel, Check, Contact, State
from centers.reach.preference import Preferences, Said, standing
from centers.reach.quiet import opening
from centers.reach.rules import Rules
from engine.action.v1 import action_pb2

MAX_WAIT: Final = timedelta(seconds=60)
"""The longest between two tries."""

GIVE_UP: Final = {
    Channel.CALL: timedelta(minutes=2),
    Channel.AI_CALL: timedelta(hours=1),
    Channel.SMS: timedelta(days=1),
    Channel.WECOM: timedelta(days=1),
}
"""How long an outside party that cannot be reached is tried; nobody waits long for a call."""

PARTY_TIMEOUT_S: Final = 0.7
"""How long an outside party may take: less than stopping a scene may, which waits for it."""

HOLDS_FOR: Final = timedelta(days=2)
"""How long an admission holds: what could not go out within it must be asked for anew."""

LATE: Final = timedelta(seconds=1)
"""So long after its time others may have taken the contact's place in the caps."""

OPTED_OUT: Final = "OPTED_OUT"
RECALLED: Final = "RECALLED"
SUSPENDED: Final = "SUSPENDED"
UNREACHABLE: Final = "CARRIER_UNREACHABLE"
NOT_CONFIRMED: Final = "NOT_CONFIRMED"
OUT_OF_DATE: Final = "ADMISSION_OUT_OF_DATE"

DEAD_TASKS: Final = {
    int(action_pb2.TASK_STATE_EXPIRED): "TASK_EXPIRED",
    int(action_pb2.TASK_STATE_CANCELLED): "TASK_CANCELLED",
    int(action_pb2.TASK_STATE_RECALLED): "TASK_RECALLED",
}
"""Codes of tasks whose contacts must not go out any more, by state."""


WITHDRAWABLE: Final = frozenset({State.DISPATCHED, State.AWAIT_STAFF_CONFIRM})
"""States of a contact that WeCom may have and its member may not have confirmed."""


class Action(IntEnum):
    """What is to be done. The numbers are the database's."""

    SEND = 1
    WITHDRAW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One thing to be done about a contact, when it is due.

    `into` and `result_code` say what becomes of a contact that is withdrawn.
    `product_ids` are those that the text speaks of, and the one that is offered.
    """

    contact_id: int
    action: Action
    due_time: datetime
    tries: int = 0
    scene_version: int = 0
    text: str = field(default="", repr=False)
    product_ids: tuple[int, ...] = ()
    into: State = State.CANCELLED
    result_code: str = ""

    def again_at(self, now: datetime) -> datetime:
        """When to try again if this try is not heard of: a second, then twice as long."""
        return now + min(timedelta(seconds=2 ** min(self.tries, 16)), MAX_WAIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What may have changed since the contact was admitted.

    `others` are the customer's other contacts in the caps, read for one that is late.
    """

    preferences: Preferences = ()
    scene_held: bool = False
    recalled: bool = False
    suspended: bool = False
    task_state: int = 0
    others: Sequence[Counted] = ()


@dataclass(frozen=True, slots=True)
class Go:
    """Do it now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before then; None: until somebody lifts what holds it."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Never: the contact ends in this state."""

    state: State
    result_code: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """WeCom may know it already: once it was taken back there, it ends in this state."""

    state: State
    result_code: str


@dataclass(frozen=True, slots=True)
class Done:
    """It was done before: only the errand is left over."""


Step = Go | Wait | Stop | TakeBack | Done


def step(
    contact: Contact, errand: Errand, rules: Rules, found: Circumstances, now: datetime
) -> Step:
    """What is to be done about a due errand."""
    if errand.action is Action.WITHDRAW:
        return Go() if contact.state in WITHDRAWABLE else Done()
    if contact.state not in WAITING and contact.state is not State.DISPATCHED:
        return Done()
    code = _against(contact, found) or _overtaken(contact, rules, found, now)
    if code:
        return _ended(contact, State.CANCELLED, code)
    if found.scene_held:
        return Wait(None)
    tried_for = now - contact.update_time
    if contact.state is State.DISPATCHED and tried_for > GIVE_UP[contact.channel]:
        return _ended(contact, State.FAILED, UNREACHABLE)
    opens = opening(quiet_hours(_attempt(contact), rules, found.preferences), now)
    return Go() if opens == now else Wait(opens or now + timedelta(days=1))


def sending(contact: Contact, *, text: str, product_ids: tuple[int, ...]) -> Errand:
    """The errand of a contact that was admitted."""
    return Errand(
        contact_id=contact.contact_id,
        action=Action.SEND,
        due_time=contact.go_time,
        scene_version=contact.chain.scene_version,
        text=text,
        product_ids=product_ids,
    )


def expiry(
    contact: Contact, now: datetime, within: timedelta, product_ids: tuple[int, ...]
) -> Errand:
    """The errand of a WeCom message that nobody has confirmed yet."""
    return Errand(
        contact_id=contact.contact_id,
        action=Action.WITHDRAW,
        due_time=now + within,
        product_ids=product_ids,
        into=State.EXPIRED,
        result_code=NOT_CONFIRMED,
    )


def withdrawal(
    contact: Contact, now: datetime, result_code: str, into: State = State.CANCELLED
) -> Errand:
    """The errand of a WeCom message that must not go out any more."""
    return Errand(
        contact_id=contact.contact_id,
        action=Action.WITHDRAW,
        due_time=now,
        into=into,
        result_code=result_code,
    )


def may_wait_in_wecom(contact: Contact) -> bool:
    """Whether a member may confirm it: WeCom waits for him, or was just handed it."""
    handed = contact.state is State.DISPATCHED and contact.channel is Channel.WECOM
    return handed or contact.state is State.AWAIT_STAFF_CONFIRM


def _ended(contact: Contact, state: State, code: str) -> Step:
    """Its end; one that WeCom may know must be taken back there first."""
    return TakeBack(state, code) if may_wait_in_wecom(contact) else Stop(state, code)


def _against(contact: Contact, found: Circumstances) -> str:
    """Why the contact must not go out any more; empty when it may."""
    if standing(found.preferences, contact.channel, contact.contact_class) is Said.REFUSES:
        return OPTED_OUT
    if found.recalled:
        return RECALLED
    if found.suspended:
        return SUSPENDED
    return DEAD_TASKS.get(found.task_state, "")


def _overtaken(contact: Contact, rules: Rules, found: Circumstances, now: datetime) -> str:
    """Why the admission of what has not left does not hold any more; empty when it does.

    Others counted it at the time at which it was to go out. Since that has passed,
    they may have gone out in its place.
    """
    if contact.state not in WAITING or now - contact.go_time < LATE or found.scene_held:
        return ""
    if now - contact.create_time > HOLDS_FOR:
        return OUT_OF_DATE
    check = obstacle(_attempt(contact), rules, found.others, now)
    return "" if check is Check.NONE else check.name


def _attempt(contact: Contact) -> Attempt:
    return Attempt(
        customer_id=contact.customer_id,
        channel=contact.channel,
        contact_class=contact.contact_class,
        scene_version=contact.chain.scene_version,
    )
