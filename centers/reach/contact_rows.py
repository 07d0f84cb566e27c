"""Contacts and errands as rows, and the statements over them, each built once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from centers.reach import tables
from centers.reach.admission import Counted
from centers.reach.domain import (
    GIVEN_BACK,
    WAITING,
    Chain,
    Channel,
    Check,
    Contact,
    ContactClass,
    Decision,
    Finding,
    Receipt,
    State,
)
from centers.reach.errand import WITHDRAWABLE, Action, Errand
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Transaction

_c: Final = tables.contact.c
_e: Final = tables.errand.c
_of: Final = sa.bindparam

_MICROSECOND: Final = timedelta(microseconds=1)
_NOT_COUNTED: Final = sorted(map(int, GIVEN_BACK))
_RETRACTABLE: Final = sorted(map(int, WAITING | WITHDRAWABLE))

INSERT: Final = sa.insert(tables.contact)
BY_ID: Final = sa.select(tables.contact).where(_c.contact_id == _of("id"))
OF_CUSTOMER: Final = BY_ID.where(_c.customer_id == _of("customer"))
MOVE: Final = (
    sa.update(tables.contact)
    .where(_c.contact_id == _of("id"), _c.state == _of("before"))
    .values(
        state=_of("after"),
        update_us=_of("now"),
        go_us=_of("go"),
        result_code=_of("code"),
        talk_us=_of("talk"),
    )
)
RECENT: Final = (
    sa.select(_c.channel, _c.contact_class, _c.go_us)
    .where(
        _c.customer_id == _of("customer"),
        _c.create_us > _of("since"),
        _c.state.not_in([sa.literal_column(str(state)) for state in _NOT_COUNTED]),
    )
    .order_by(_c.create_us, _c.contact_id)
)
OTHERS: Final = RECENT.where(_c.contact_id != _of("id"))
NEWEST: Final = (
    sa.select(tables.contact)
    .where(_c.customer_id == _of("customer"))
    .order_by(_c.create_us.desc(), _c.contact_id.desc())
    .limit(_of("count"))
)
NEWEST_AFTER: Final = NEWEST.where(
    sa.tuple_(_c.create_us, _c.contact_id) < sa.tuple_(_of("after_us"), _of("after_id"))
)
_retractable: Final = sa.select(tables.contact).where(
    _c.state.in_([sa.literal_column(str(state)) for state in _RETRACTABLE])
)
RETRACTABLE_OF_CUSTOMER: Final = _retractable.where(_c.customer_id == _of("customer"))
RETRACTABLE_OF_TASK: Final = _retractable.where(_c.task_id == _of("task"))
RETRACTABLE_OF_MATERIAL: Final = _retractable.join(
    tables.errand, _e.contact_id == _c.contact_id
).where(_c.material_id == _of("material"))
RETRACTABLE_OF_PRODUCT: Final = (
    sa.select(tables.contact)
    .join(tables.errand, _e.contact_id == _c.contact_id)
    .where(
        _c.state.in_([sa.literal_column(str(int(state))) for state in sorted(WITHDRAWABLE)]),
        ("," + _e.product_ids + ",").like(_of("named")),
    )
)
"""Messages that WeCom may have; what has not left is looked at once more when it does."""

ADD_ERRAND: Final = sa.insert(tables.errand)
DROP_ERRAND: Final = sa.delete(tables.errand).where(_e.contact_id == _of("id"))
ERRAND: Final = sa.select(tables.errand).where(_e.contact_id == _of("id"))
DUE: Final = (
    sa.select(_e.contact_id, _e.due_us)
    .where(
        _e.due_us <= _of("now"),
        _e.scene_version.not_in(
            sa.select(tables.scene_hold.c.scene_version).where(tables.scene_hold.c.held)
        ),
    )
    .order_by(_e.due_us)
    .limit(_of("count"))
)
PUT_OFF: Final = (
    sa.update(tables.errand)
    .where(_e.contact_id == _of("id"), _e.due_us == _of("seen"))
    .values(due_us=_of("due"), tries=_e.tries + _of("more"), taken_us=_of("taken"))
)


async def find(tx: Transaction, contact_id: int) -> Contact | None:
    """The contact of that id."""
    rows = await tx.fetch_all(BY_ID, {"id": contact_id})
    return to_contact(rows[0]) if rows else None


async def move(tx: Transaction, before: Contact, after: Contact) -> None:
    """Store a contact that moved on within this transaction."""
    values = {
        "id": before.contact_id,
        "before": int(before.state),
        "after": int(after.state),
        "now": to_micros(after.update_time),
        "go": to_micros(after.go_time),
        "code": after.result_code,
        "talk": after.talk_time // _MICROSECOND,
    }
    moved = await tx.execute(MOVE, values)
    assert moved, "the contact was read in this transaction"


async def errand_of(tx: Transaction, contact_id: int) -> Errand | None:
    """What is still to be done about a contact."""
    rows = await tx.fetch_all(ERRAND, {"id": contact_id})
    return to_errand(rows[0]) if rows else None


async def replace_errand(tx: Transaction, errand: Errand) -> None:
    """Do this about its contact, and nothing else."""
    await tx.execute(DROP_ERRAND, {"id": errand.contact_id})
    await tx.execute(ADD_ERRAND, errand_values(errand))


def contact_values(contact: Contact) -> dict[str, Any]:
    """All columns of a contact."""
    receipt, chain = contact.receipt, contact.chain
    return {
        "contact_id": contact.contact_id,
        "customer_id": contact.customer_id,
        "channel": int(contact.channel),
        "contact_class": int(contact.contact_class),
        "state": int(contact.state),
        "scene_version": chain.scene_version,
        "trigger_id": chain.trigger_id,
        "opportunity_id": chain.opportunity_id,
        "task_id": chain.task_id,
        "staff_id": contact.staff_id,
        "actor": contact.actor,
        "material_id": contact.material_id,
        "material_version": contact.material_version,
        "text_sha256": contact.text_sha256,
        "product_id": contact.product_id,
        "create_us": to_micros(contact.create_time),
        "update_us": to_micros(contact.update_time),
        "go_us": to_micros(contact.go_time),
        "result_code": contact.result_code,
        "talk_us": contact.talk_time // _MICROSECOND,
        "receipt_id": receipt.receipt_id,
        "decision": int(receipt.decision),
        "reason": int(receipt.reason),
        "checks": json.dumps([(one.check, one.passed, one.detail) for one in receipt.checks]),
        "policy_version": receipt.policy_version,
        "inputs_sha256": receipt.inputs_sha256,
        "next_us": None if receipt.next_time is None else to_micros(receipt.next_time),
        "suitability_receipt_id": receipt.suitability_receipt_id,
    }


def to_contact(row: Row) -> Contact:
    """The contact that a row holds."""
    return Contact(
        contact_id=row.contact_id,
        customer_id=row.customer_id,
        channel=Channel(row.channel),
        contact_class=ContactClass(row.contact_class),
        state=State(row.state),
        chain=to_chain(row),
        staff_id=row.staff_id,
        actor=row.actor,
        material_id=row.material_id,
        material_version=row.material_version,
        text_sha256=row.text_sha256,
        product_id=row.product_id,
        receipt=_to_receipt(row),
        create_time=from_micros(row.create_us),
        update_time=from_micros(row.update_us),
        go_time=from_micros(row.go_us),
        result_code=row.result_code,
        talk_time=row.talk_us * _MICROSECOND,
    )


def to_chain(row: Row) -> Chain:
    """The chain in a row of a contact or a task."""
    return Chain(
        scene_version=row.scene_version,
        trigger_id=row.trigger_id,
        opportunity_id=row.opportunity_id,
        task_id=row.task_id,
    )


def to_counted(row: Row) -> Counted:
    """A contact's place in the caps."""
    return Counted(Channel(row.channel), ContactClass(row.contact_class), from_micros(row.go_us))


def errand_values(errand: Errand) -> dict[str, Any]:
    """All columns of an errand."""
    return {
        "contact_id": errand.contact_id,
        "action": int(errand.action),
        "due_us": to_micros(errand.due_time),
        "tries": errand.tries,
        "scene_version": errand.scene_version,
        "text": errand.text,
        "product_ids": ",".join(map(str, errand.product_ids)),
        "into": int(errand.into),
        "result_code": errand.result_code,
    }


def to_errand(row: Row) -> Errand:
    """The errand that a row holds."""
    return Errand(
        contact_id=row.contact_id,
        action=Action(row.action),
        due_time=from_micros(row.due_us),
        tries=row.tries,
        scene_version=row.scene_version,
        text=row.text,
        product_ids=tuple(map(int, filter(None, row.product_ids.split(",")))),
        into=State(row.into),
        result_code=row.result_code,
    )


def _to_receipt(row: Row) -> Receipt:
    checks = json.loads(row.checks)
    return Receipt(
        receipt_id=row.receipt_id,
        decision=Decision(row.decision),
        checks=tuple(Finding(Check(check), passed, detail) for check, passed, detail in checks),
        reason=Check(row.reason),
        policy_version=row.policy_version,
        inputs_sha256=row.inputs_sha256,
        create_time=from_micros(row.create_us),
        next_time=_optional_moment(row.next_us),
        suitability_receipt_id=row.suitability_receipt_id,
    )


def _optional_moment(since_1970_us: int | None) -> datetime | None:
    return None if since_1970_us is None else from_micros(since_1970_us)
