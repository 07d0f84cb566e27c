"""The call platform's database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store
from simulators.calls.domain import Call, Plan
from simulators.calls.service import Outcome
from simulators.calls.tables import call as call_table
from simulators.calls.tables import plan as plan_table
from simulators.reports import owe

_MICROSECOND: Final = timedelta(microseconds=1)

_ADD = sa.insert(call_table)
_CALL = sa.select(call_table).where(call_table.c.contact_id == sa.bindparam("contact"))
_PLAN = sa.select(plan_table).where(plan_table.c.customer_id == sa.bindparam("customer"))
_ADD_PLAN = sa.insert(plan_table)
_DROP_PLAN = sa.delete(plan_table).where(plan_table.c.customer_id == sa.bindparam("customer"))


class CallStore:
    """Holds plans, calls and the reports that follow from both."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def dial(self, call: Call, outcome: Outcome) -> Call:
        async with self._store.transaction() as tx:
            found = await tx.fetch_all(_CALL, {"contact": call.contact_id})
            if found:
                return _to_call(found[0])
            plans = await tx.fetch_all(_PLAN, {"customer": call.customer_id})
            await tx.execute(_ADD, _values(call))
            reports = outcome(call, _to_plan(plans[0]) if plans else None)
            await owe(tx, reports, call.dial_time)
        return call

    async def plan(self, plans: Collection[Plan]) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(_DROP_PLAN, [{"customer": one.customer_id} for one in plans])
            await tx.execute(_ADD_PLAN, [_plan_values(one) for one in plans])


def _values(call: Call) -> dict[str, Any]:
    return {
        "contact_id": call.contact_id,
        "customer_id": call.customer_id,
        "staff_id": call.staff_id,
        "dial_us": to_micros(call.dial_time),
    }


def _plan_values(plan: Plan) -> dict[str, Any]:
    return {
        "customer_id": plan.customer_id,
        "answered": plan.answered,
        "talk_us": plan.talk_time // _MICROSECOND,
    }


def _to_call(row: Row) -> Call:
    return Call(
        contact_id=row.contact_id,
        customer_id=row.customer_id,
        staff_id=row.staff_id,
        dial_time=from_micros(row.dial_us),
    )


def _to_plan(row: Row) -> Plan:
    return Plan(
        customer_id=row.customer_id,
        answered=row.answered,
        talk_time=row.talk_us * _MICROSECOND,
    )
