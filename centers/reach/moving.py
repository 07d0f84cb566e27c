"""How contacts move on within a transaction: reports, and taking back what has not gone out."""

from __future__ import annotations

from datetime import datetime

from centers.reach.contact_rows import DROP_ERRAND, errand_of, find, move, replace_errand
from centers.reach.domain import FINAL, WAITING, Contact, Report, State, advanced
from centers.reach.errand import Action, may_wait_in_wecom, withdrawal
from centers.reach.telling import contact_changed
from mesh.storage import Transaction


async def apply(tx: Transaction, contact_id: int, report: Report, now: datetime) -> Contact | None:
    """The contact after a report of an outside party; None when there is no such contact.

    With the contact that is over or sent, what was to be done about it is too.
    """
    present = await find(tx, contact_id)
    if present is None:
        return None
    after = advanced(present, await _meant(tx, contact_id, report), now)
    if after is None:
        return present
    await move(tx, present, after)
    if after.state in FINAL or after.state is State.SENT:
        await tx.execute(DROP_ERRAND, {"id": contact_id})
    tx.publish(contact_changed(after))
    return after


async def retract(tx: Transaction, contact: Contact, result_code: str, now: datetime) -> None:
    """Take back a contact that has not gone out.

    One that waits for its confirmation in WeCom, or is being handed over to it, is
    withdrawn there, and ends once WeCom has let go of it. Any other is left as it is.
    """
    if may_wait_in_wecom(contact):
        await replace_errand(tx, withdrawal(contact, now, result_code))
    elif contact.state in WAITING:
        await end(tx, contact, contact.moved(State.CANCELLED, now, result_code=result_code))


async def end(tx: Transaction, before: Contact, after: Contact) -> None:
    """Store the end of a contact, and tell of it."""
    await move(tx, before, after)
    await tx.execute(DROP_ERRAND, {"id": before.contact_id})
    tx.publish(contact_changed(after))


async def _meant(tx: Transaction, contact_id: int, report: Report) -> Report:
    """What a cancellation in WeCom means: the end that was asked for, if we asked for one."""
    if report.state is not State.CANCELLED:
        return report
    errand = await errand_of(tx, contact_id)
    if errand is None or errand.action is not Action.WITHDRAW or not errand.tries:
        return report
    return Report(state=errand.into, result_code=errand.result_code)
