"""The carrier's database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store
from simulators.reports import owe
from simulators.sms.domain import Message, Plan
from simulators.sms.service import Outcome
from simulators.sms.tables import message as message_table
from simulators.sms.tables import plan as plan_table

AT_ONCE: Final = 500
"""Customers whose messages are read by one statement."""

_ADD = sa.insert(message_table)
_MESSAGE = sa.select(message_table).where(
    message_table.c.contact_id == sa.bindparam("contact"),
)
_ALL = sa.select(message_table).order_by(message_table.c.position)
_TO = _ALL.where(message_table.c.customer_id.in_(sa.bindparam("customers", expanding=True)))
_PLAN = sa.select(plan_table).where(plan_table.c.customer_id == sa.bindparam("customer"))
_ADD_PLAN = sa.insert(plan_table)
_DROP_PLAN = sa.delete(plan_table).where(plan_table.c.customer_id == sa.bindparam("customer"))


class MessageStore:
    """Holds plans, messages and the reports that follow from both."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def accept(self, message: Message, outcome: Outcome) -> Message:
        async with self._store.transaction() as tx:
            found = await tx.fetch_all(_MESSAGE, {"contact": message.contact_id})
            if found:
                return _to_message(found[0])
            plans = await tx.fetch_all(_PLAN, {"customer": message.customer_id})
            await tx.execute(_ADD, _values(message))
            reports = outcome(message, _to_plan(plans[0]) if plans else None)
            await owe(tx, reports, message.accept_time)
        return message

    async def plan(self, plans: Collection[Plan]) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(_DROP_PLAN, [{"customer": one.customer_id} for one in plans])
            await tx.execute(_ADD_PLAN, [_plan_values(one) for one in plans])

    async def messages(self, customer_ids: Sequence[int], limit: int) -> Sequence[Message]:
        found: list[tuple[int, Message]] = []
        for statement, parameters in _reads(customer_ids):
            async for rows in self._store.scan(statement.limit(limit), parameters):
                found += [(row.position, _to_message(row)) for row in rows]
        found.sort(key=lambda placed: placed[0])
        return [message for _, message in found[:limit]]


def _reads(customer_ids: Sequence[int]) -> Sequence[tuple[sa.Select[Any], dict[str, Any]]]:
    """The statements that together read the messages to the customers; to all for none."""
    if not customer_ids:
        return [(_ALL, {})]
    tokens = [*dict.fromkeys(customer_ids)]
    starts = range(0, len(tokens), AT_ONCE)
    return [(_TO, {"customers": tokens[start : start + AT_ONCE]}) for start in starts]


def _values(message: Message) -> dict[str, Any]:
    return {
        "contact_id": message.contact_id,
        "customer_id": message.customer_id,
        "text_sha256": message.text_sha256,
        "accept_us": to_micros(message.accept_time),
    }


def _plan_values(plan: Plan) -> dict[str, Any]:
    return {
        "customer_id": plan.customer_id,
        "delivered": plan.delivered,
        "result_code": plan.result_code,
    }


def _to_message(row: Row) -> Message:
    return Message(
        contact_id=row.contact_id,
        customer_id=row.customer_id,
        text_sha256=row.text_sha256,
        accept_time=from_micros(row.accept_us),
    )


def _to_plan(row: Row) -> Plan:
    return Plan(customer_id=row.customer_id, delivered=row.delivered, result_code=row.result_code)
