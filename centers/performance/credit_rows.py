"""Reads the ledger: entries within reach, and what one of them is made of."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from centers.performance.domain import Credit, Result
from centers.performance.errors import PerformanceReason
from centers.performance.ledger_rows import entries_of, to_credit, to_result, within
from centers.performance.reading import Filter
from centers.performance.scope import Reach
from centers.performance.tables import credit, result
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.storage import Store

_c: Final = credit.c
_ONE: Final = sa.select(credit).where(_c.credit_id == sa.bindparam("of_credit"))
_RESULT: Final = sa.select(result).where(result.c.result_id == sa.bindparam("of_result"))


class Credits:
    """The ledger as it is read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, credit_id: int) -> Credit | None:
        """An entry; None when there is none."""
        rows = await self._store.fetch_all(_ONE, {"of_credit": credit_id})
        return to_credit(rows[0]) if rows else None

    async def story(self, credit_id: int) -> tuple[Credit, Result, list[Credit]]:
        entry = await self.find(credit_id)
        if entry is None:
            raise MeshError(PerformanceReason.CREDIT_NOT_FOUND)
        rows = await self._store.fetch_all(_RESULT, {"of_result": entry.result_id})
        entries = await entries_of(self._store, [entry.result_id])
        return entry, to_result(rows[0]), list(entries)

    async def page(self, wanted: Filter, reach: Reach, request: PageRequest) -> Page[Credit]:
        terms = [_c.metric == int(wanted.metric), within(reach)]
        if wanted.owner_id:
            terms.append(_c.owner_id == wanted.owner_id)
        if wanted.customer_id:
            terms.append(_c.customer_id == wanted.customer_id)
        after = request.after_numbers(1)
        if after is not None:
            terms.append(_c.credit_id < after[0])
        listed = sa.select(credit).where(*terms).order_by(_c.credit_id.desc()).limit(request.limit)
        rows = await self._store.fetch_all(listed)
        return request.page([to_credit(row) for row in rows], lambda one: (one.credit_id,))
