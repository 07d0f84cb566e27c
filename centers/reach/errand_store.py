"""The store of errands: what is due, taking it up, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from centers.reach import moving
from centers.reach.admission import Counted
from centers.reach.contact_rows import (
    DROP_ERRAND,
    DUE,
    OTHERS,
    PUT_OFF,
    errand_of,
    find,
    move,
    replace_errand,
    to_counted,
)
from centers.reach.dispatch import Due, Order, on_behalf
from centers.reach.domain import WAITING, Contact, Report, State
from centers.reach.errand import (
    HOLDS_FOR,
    LATE,
    Action,
    Circumstances,
    Done,
    Errand,
    Go,
    Step,
    Stop,
    TakeBack,
    Wait,
    expiry,
    withdrawal,
)
from centers.reach.policy_wire import LONGEST
from centers.reach.preference_rows import OF_CUSTOMER, to_preferences
from centers.reach.projection_rows import Barred, barred_among, task_with_hold
from centers.reach.rules import Rules
from centers.reach.telling import contact_changed
from mesh import context
from mesh.clock import from_micros, to_micros
from mesh.storage import Store, Transaction


class ErrandStore:
    """Holds errands. Each step is a short transaction of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def due(self, now: datetime, count: int) -> Sequence[Due]:
        rows = await self._store.fetch_all(DUE, {"now": to_micros(now), "count": count})
        return [Due(row.contact_id, from_micros(row.due_us)) for row in rows]

    async def take(
        self,
        due: Due,
        step: Callable[[Contact, Errand, Circumstances], Step],
        now: datetime,
    ) -> Order | None:
        async with self._store.transaction() as tx:
            errand = await errand_of(tx, due.contact_id)
            contact = await find(tx, due.contact_id)
            if errand is None or contact is None or errand.due_time != due.due_time:
                return None  # somebody else took it up, or it is over
            judged = step(contact, errand, await _circumstances(tx, contact, errand, now))
            with context.using(on_behalf(contact)):
                return await _taken(tx, contact, errand, judged, now)

    async def carried(
        self, contact_id: int, report: Report | None, rules: Rules, now: datetime
    ) -> None:
        async with self._store.transaction() as tx:
            after = await find(tx, contact_id)
            if report is not None:
                after = await moving.apply(tx, contact_id, report, now)
            if after is None:
                return
            if after.state is State.AWAIT_STAFF_CONFIRM:
                await _await_confirmation(tx, after, rules, now)
            else:
                await tx.execute(DROP_ERRAND, {"id": contact_id})


async def _taken(
    tx: Transaction, contact: Contact, errand: Errand, judged: Step, now: datetime
) -> Order | None:
    """Do what was judged; the order when it goes out."""
    match judged:
        case Go():
            after = await _dispatched(tx, contact, errand, now)
            return Order(contact=after, errand=errand)
        case Stop(state=state, result_code=code):
            await moving.end(tx, contact, contact.moved(state, now, result_code=code))
        case TakeBack(state=state, result_code=code):
            await replace_errand(tx, withdrawal(contact, now, code, into=state))
        case Wait(until=until):
            await _put_off(tx, contact, errand, until, now)
        case Done():
            await tx.execute(DROP_ERRAND, {"id": contact.contact_id})
    return None


async def _circumstances(
    tx: Transaction, contact: Contact, errand: Errand, now: datetime
) -> Circumstances:
    rows = await tx.fetch_all(OF_CUSTOMER, {"customer": contact.customer_id})
    task, held = await task_with_hold(tx, contact.chain.task_id)
    barred = await barred_among(tx, contact.material_id, errand.product_ids)
    return Circumstances(
        preferences=to_preferences(rows),
        scene_held=held,
        recalled=Barred.MATERIAL in barred,
        suspended=Barred.PRODUCT in barred,
        task_state=task.state if task else 0,
        others=await _others(tx, contact, now),
    )


async def _others(tx: Transaction, contact: Contact, now: datetime) -> Sequence[Counted]:
    """The customer's other contacts in the caps, when this one is late."""
    if contact.state not in WAITING or now - contact.go_time < LATE:
        return ()
    since = to_micros(now - LONGEST - HOLDS_FOR)
    place = {"customer": contact.customer_id, "since": since, "id": contact.contact_id}
    return [to_counted(row) for row in await tx.fetch_all(OTHERS, place)]


async def _dispatched(tx: Transaction, contact: Contact, errand: Errand, now: datetime) -> Contact:
    """The contact as it goes out, and takes its place in the caps from now on.

    If nobody hears of it again, it is tried again.
    """
    await _defer(tx, errand, errand.again_at(now), taken=now)
    if contact.state not in WAITING:
        return contact
    after = replace(contact.moved(State.DISPATCHED, now), go_time=now)
    await move(tx, contact, after)
    tx.publish(contact_changed(after))
    return after


async def _put_off(
    tx: Transaction, contact: Contact, errand: Errand, until: datetime | None, now: datetime
) -> None:
    """Let it wait; in quiet hours it waits as one that was deferred."""
    if until is None:
        return
    await _defer(tx, errand, until)
    if contact.state is State.QUEUED:
        after = contact.moved(State.DEFERRED, now)
        await move(tx, contact, after)
        tx.publish(contact_changed(after))


async def _defer(
    tx: Transaction, errand: Errand, until: datetime, *, taken: datetime | None = None
) -> None:
    """Set its next time; with when it was taken up, unless it only waits."""
    values = {
        "id": errand.contact_id,
        "seen": to_micros(errand.due_time),
        "due": to_micros(until),
        "more": int(taken is not None),
        "taken": 0 if taken is None else to_micros(taken),
    }
    await tx.execute(PUT_OFF, values)


async def _await_confirmation(
    tx: Transaction, contact: Contact, rules: Rules, now: datetime
) -> None:
    """The next errand of a WeCom message is to end it, unless that is its errand already."""
    errand = await errand_of(tx, contact.contact_id)
    if errand is None or errand.action is Action.SEND:
        product_ids = errand.product_ids if errand else ()
        await replace_errand(tx, expiry(contact, now, rules.confirm_within, product_ids))
