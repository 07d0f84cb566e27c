"""The adapter's database: bindings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from centers.wecom.domain import Binding
from centers.wecom.errors import WecomReason
from centers.wecom.tables import binding as binding_table
from mesh.clock import to_micros
from mesh.errors import MeshError, Violation
from mesh.storage import Row, Store, Transaction

AT_ONCE: Final = 500
"""External contacts looked up by one statement."""

_ADD = sa.insert(binding_table)
_DROP = sa.delete(binding_table).where(binding_table.c.customer_id == sa.bindparam("customer"))
_TAKEN = sa.select(binding_table.c.external_userid).where(
    binding_table.c.external_userid.in_(sa.bindparam("contacts", expanding=True))
)
_BINDING = sa.select(binding_table).where(binding_table.c.customer_id == sa.bindparam("customer"))


class BindingStore:
    """Holds bindings: one for each customer, one for each external contact."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def bind(self, bindings: Sequence[Binding], now: datetime) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(_DROP, [{"customer": one.customer_id} for one in bindings])
            await _refuse_taken(tx, bindings)
            await tx.execute(_ADD, [_values(one, now) for one in bindings])


async def binding_of(tx: Transaction, customer_id: int) -> Binding | None:
    """The customer's binding within a transaction."""
    rows = await tx.fetch_all(_BINDING, {"customer": customer_id})
    return _to_binding(rows[0]) if rows else None


async def _refuse_taken(tx: Transaction, bindings: Sequence[Binding]) -> None:
    for start in range(0, len(bindings), AT_ONCE):
        block = bindings[start : start + AT_ONCE]
        rows = await tx.fetch_all(_TAKEN, {"contacts": [one.external_userid for one in block]})
        taken = {row.external_userid for row in rows}
        violations = [
            Violation(f"bindings[{index}].external_userid", "is bound to another customer")
            for index, one in enumerate(block, start)
            if one.external_userid in taken
        ]
        if violations:
            raise MeshError(WecomReason.CONTACT_BOUND, violations=violations)


def _values(binding: Binding, now: datetime) -> dict[str, Any]:
    return {
        "customer_id": binding.customer_id,
        "external_userid": binding.external_userid,
        "staff_id": binding.staff_id,
        "bind_us": to_micros(now),
    }


def _to_binding(row: Row) -> Binding:
    return Binding(
        customer_id=row.customer_id,
        external_userid=row.external_userid,
        staff_id=row.staff_id,
    )
