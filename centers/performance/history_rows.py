"""What the performance centre knows of opportunities, tasks and contacts.

It learns of them by events. What was told twice is known once, and the order in
which it was told does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from centers.performance.domain import NO_HISTORY, Contact, History, Opportunity
from centers.performance.ledger_rows import Reader
from centers.performance.tables import contact, opportunity, task
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Statement, Transaction

_of: Final = sa.bindparam


def _of_customers(table: sa.Table, *order: sa.Column[Any]) -> Statement:
    some = table.c.customer_id.in_(_of("customers", expanding=True))
    return sa.select(table).where(some).order_by(*order)


_OPPORTUNITIES: Final = _of_customers(opportunity)
_TASKS: Final = _of_customers(task, task.c.task_id)
_CONTACTS: Final = _of_customers(contact)

_CHANGE_OPPORTUNITY: Final = sa.update(opportunity).where(opportunity.c.opportunity_id == _of("id"))
_ADD_OPPORTUNITY: Final = sa.insert(opportunity)
_CHANGE_TASK: Final = sa.update(task).where(task.c.task_id == _of("id"))
_ADD_TASK: Final = sa.insert(task)
_DROP_LATER_CONTACT: Final = sa.delete(contact).where(
    contact.c.contact_id == _of("id"), contact.c.reached_us > _of("reached")
)
_CONTACT: Final = sa.select(contact.c.contact_id).where(contact.c.contact_id == _of("id"))
_ADD_CONTACT: Final = sa.insert(contact)


async def histories(reader: Reader, customer_ids: Collection[int]) -> Mapping[int, History]:
    """What is known of these customers."""
    place = {"customers": sorted(customer_ids)}
    if not customer_ids:
        return {}
    opportunities: dict[int, list[Opportunity]] = defaultdict(list)
    contacts: dict[int, list[Contact]] = defaultdict(list)
    tasks: dict[int, dict[int, int]] = defaultdict(dict)
    for row in await reader.fetch_all(_OPPORTUNITIES, place):
        opportunities[row.customer_id].append(_to_opportunity(row))
    for row in await reader.fetch_all(_CONTACTS, place):
        contacts[row.customer_id].append(_to_contact(row))
    for row in await reader.fetch_all(_TASKS, place):
        tasks[row.customer_id][row.opportunity_id] = row.task_id
    return {
        customer_id: replace(
            NO_HISTORY,
            opportunities=known,
            contacts=contacts[customer_id],
            tasks=tasks[customer_id],
        )
        for customer_id, known in opportunities.items()
    }


async def learn_opportunity(tx: Transaction, told: Opportunity) -> None:
    """Remember an opportunity of a treated customer."""
    row = {
        "opportunity_id": told.opportunity_id,
        "customer_id": told.customer_id,
        "scene_version": told.scene_version,
        "trigger_id": told.trigger_id,
        "acted_on": int(told.acted_on),
        "occurred_us": to_micros(told.occurred_time),
    }
    if not await tx.execute(_CHANGE_OPPORTUNITY, row | {"id": told.opportunity_id}):
        await tx.execute(_ADD_OPPORTUNITY, row)


async def learn_task(
    tx: Transaction, task_id: int, *, customer_id: int, opportunity_id: int
) -> None:
    """Remember which opportunity a task is about."""
    row = {"task_id": task_id, "customer_id": customer_id, "opportunity_id": opportunity_id}
    if not await tx.execute(_CHANGE_TASK, row | {"id": task_id}):
        await tx.execute(_ADD_TASK, row)


async def learn_contact(tx: Transaction, told: Contact) -> None:
    """Remember that a contact reached its customer; of several times the first."""
    row = {
        "contact_id": told.contact_id,
        "customer_id": told.customer_id,
        "opportunity_id": told.opportunity_id,
        "task_id": told.task_id,
        "reached_us": to_micros(told.reached_time),
    }
    place = {"id": told.contact_id}
    await tx.execute(_DROP_LATER_CONTACT, place | {"reached": row["reached_us"]})
    if not await tx.fetch_all(_CONTACT, place):
        await tx.execute(_ADD_CONTACT, row)


def _to_opportunity(row: Row) -> Opportunity:
    return Opportunity(
        opportunity_id=row.opportunity_id,
        customer_id=row.customer_id,
        scene_version=row.scene_version,
        trigger_id=row.trigger_id,
        acted_on=bool(row.acted_on),
        occurred_time=from_micros(row.occurred_us),
    )


def _to_contact(row: Row) -> Contact:
    return Contact(
        contact_id=row.contact_id,
        customer_id=row.customer_id,
        opportunity_id=row.opportunity_id,
        task_id=row.task_id,
        reached_time=from_micros(row.reached_us),
    )
