"""Contacts with customers and how they go on. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from engine.reach.v1 import reach_pb2
from mesh.clock import to_micros

REACHED_AFTER: Final = timedelta(seconds=60)
"""A call reached the customer when he talked for so long."""

Cursor = tuple[int, ...]
"""The place of a contact in the list of a customer's."""


class Channel(IntEnum):
    """A way to a customer; the numbers are the contract's and the database's."""

    ALL = reach_pb2.CHANNEL_UNSPECIFIED
    CALL = reach_pb2.CHANNEL_CALL
    AI_CALL = reach_pb2.CHANNEL_AI_CALL
    SMS = reach_pb2.CHANNEL_SMS
    WECOM = reach_pb2.CHANNEL_WECOM


CHANNELS: Final = (Channel.CALL, Channel.AI_CALL, Channel.SMS, Channel.WECOM)
CALLS: Final = frozenset({Channel.CALL, Channel.AI_CALL})


class ContactClass(IntEnum):
    """Why a customer is contacted."""

    ALL = reach_pb2.CONTACT_CLASS_UNSPECIFIED
    MARKETING = reach_pb2.CONTACT_CLASS_MARKETING
    SERVICE = reach_pb2.CONTACT_CLASS_SERVICE
    REGULATORY = reach_pb2.CONTACT_CLASS_REGULATORY


class State(IntEnum):
    """Where a contact stands."""

    DENIED = reach_pb2.CONTACT_STATE_DENIED
    DEFERRED = reach_pb2.CONTACT_STATE_DEFERRED
    QUEUED = reach_pb2.CONTACT_STATE_QUEUED
    DISPATCHED = reach_pb2.CONTACT_STATE_DISPATCHED
    AWAIT_STAFF_CONFIRM = reach_pb2.CONTACT_STATE_AWAIT_STAFF_CONFIRM
    SENT = reach_pb2.CONTACT_STATE_SENT
    DELIVERED = reach_pb2.CONTACT_STATE_DELIVERED
    FAILED = reach_pb2.CONTACT_STATE_FAILED
    EXPIRED = reach_pb2.CONTACT_STATE_EXPIRED
    CANCELLED = reach_pb2.CONTACT_STATE_CANCELLED


WAITING: Final = frozenset({State.DEFERRED, State.QUEUED})
"""Admitted, and nobody outside knows of it."""

GIVEN_BACK: Final = frozenset({State.DENIED, State.FAILED, State.EXPIRED, State.CANCELLED})
"""Contacts in these states take no place in the caps."""

FINAL: Final = GIVEN_BACK | {State.DELIVERED}
_UNDER_WAY: Final = frozenset({State.DISPATCHED, State.AWAIT_STAFF_CONFIRM, State.SENT})


class Decision(IntEnum):
    """What admission decided."""

    ADMITTED = reach_pb2.ADMISSION_DECISION_ADMITTED
    DEFERRED = reach_pb2.ADMISSION_DECISION_DEFERRED
    DENIED = reach_pb2.ADMISSION_DECISION_DENIED


class Check(IntEnum):
    """What admission checks, in this order."""

    NONE = reach_pb2.ADMISSION_CHECK_UNSPECIFIED
    SCENE_RUNS = reach_pb2.ADMISSION_CHECK_SCENE_RUNS
    OPT_OUT = reach_pb2.ADMISSION_CHECK_OPT_OUT
    CONSENT = reach_pb2.ADMISSION_CHECK_CONSENT
    CONTENT = reach_pb2.ADMISSION_CHECK_CONTENT
    SUITABILITY = reach_pb2.ADMISSION_CHECK_SUITABILITY
    QUALIFICATION = reach_pb2.ADMISSION_CHECK_QUALIFICATION
    CAP = reach_pb2.ADMISSION_CHECK_CAP
    MIN_GAP = reach_pb2.ADMISSION_CHECK_MIN_GAP
    QUIET_HOURS = reach_pb2.ADMISSION_CHECK_QUIET_HOURS


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found: a code with numbers, no personal data."""

    check: Check
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Why a contact was admitted, deferred or denied."""

    receipt_id: int
    decision: Decision
    checks: tuple[Finding, ...]
    reason: Check
    policy_version: int
    inputs_sha256: str
    create_time: datetime
    next_time: datetime | None
    suitability_receipt_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a contact is part of; 0 for what is not known. All are 0 without a task."""

    scene_version: int = 0
    trigger_id: int = 0
    opportunity_id: int = 0
    task_id: int = 0


NO_CHAIN: Final = Chain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact with a customer, or the attempt.

    `go_time` is when it takes its place in the caps: when it was asked for, or
    when quiet hours end. `actor` is who asked for it.
    """

    contact_id: int
    customer_id: int
    channel: Channel
    contact_class: ContactClass
    state: State
    chain: Chain
    staff_id: int
    actor: str
    material_id: int
    material_version: int
    text_sha256: str
    product_id: int
    receipt: Receipt
    create_time: datetime
    update_time: datetime
    go_time: datetime
    result_code: str = ""
    talk_time: timedelta = timedelta()

    @property
    def reached(self) -> bool:
        """Whether the customer took notice of it."""
        if self.state is not State.DELIVERED:
            return False
        return self.channel not in CALLS or self.talk_time >= REACHED_AFTER

    @property
    def cursor(self) -> Cursor:
        """Its place in the list of a customer's contacts, which has the newest first."""
        return to_micros(self.create_time), self.contact_id

    def moved(self, state: State, now: datetime, *, result_code: str = "") -> Contact:
        """The contact in another state."""
        code = result_code or self.result_code
        return replace(self, state=state, update_time=now, result_code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an outside party tells of a contact."""

    state: State
    result_code: str = ""
    talk_time: timedelta = timedelta()


def advanced(present: Contact, report: Report, now: datetime) -> Contact | None:
    """The contact after a report; None when that changes nothing.

    Contacts go forward alone: what is late, repeated or out of order is none, and
    so is what is told of a contact that never left or is over. Only a message that
    was not sent yet can expire or be cancelled.
    """
    if present.state not in _UNDER_WAY or report.state <= present.state:
        return None
    if report.state is State.AWAIT_STAFF_CONFIRM and present.channel is not Channel.WECOM:
        return None
    if report.state in (State.EXPIRED, State.CANCELLED) and present.state is State.SENT:
        return None
    moved = present.moved(report.state, now, result_code=report.result_code)
    return replace(moved, talk_time=report.talk_time) if report.talk_time else moved
