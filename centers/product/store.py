"""The product centre's database: codes and status, receipts, proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import sqlalchemy as sa

from centers.product.domain import Check
from centers.product.errors import ProductReason
from centers.product.tables import product as product_table
from centers.product.tables import proposal as proposal_table
from centers.product.tables import suitability_check as check_table
from engine.product.v1 import product_pb2
from mesh import context
from mesh.clock import to_micros
from mesh.errors import MeshError
from mesh.storage import Store, Transaction

Status: TypeAlias = product_pb2.ProductStatus.ValueType

_ADD = sa.insert(product_table)
_BY_CODE = sa.select(product_table.c.product_id).where(
    product_table.c.code == sa.bindparam("of_code")
)
_ALL = sa.select(product_table)
_ONE = sa.select(product_table).where(product_table.c.product_id == sa.bindparam("of_product"))
_MOVE = (
    sa.update(product_table)
    .where(
        product_table.c.product_id == sa.bindparam("of_product"),
        product_table.c.status == sa.bindparam("before"),
    )
    .values(status=sa.bindparam("after"))
)
_KEEP_CHECK: Final = sa.insert(check_table)
_KEEP_PROPOSAL: Final = sa.insert(proposal_table)


class Shelf:
    """Which products there are, and which of them may be offered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, product_id: int, code: str) -> None:
        """A product that was just drafted.

        Raises:
            MeshError: CODE_TAKEN.
        """
        if await tx.fetch_all(_BY_CODE, {"of_code": code}):
            raise MeshError(ProductReason.CODE_TAKEN, metadata={"code": code})
        row = {"product_id": product_id, "code": code, "status": product_pb2.PRODUCT_STATUS_DRAFT}
        await tx.execute(_ADD, row)

    async def sell(self, tx: Transaction, product_id: int) -> Status:
        """Put a product on sale that was approved; one that is suspended stays so."""
        draft, on_sale = product_pb2.PRODUCT_STATUS_DRAFT, product_pb2.PRODUCT_STATUS_ON_SALE
        await self.move(tx, product_id, draft, on_sale)
        (row,) = await tx.fetch_all(_ONE, {"of_product": product_id})
        status: Status = row.status
        return status

    async def move(self, tx: Transaction, product_id: int, before: Status, after: Status) -> bool:
        """Change the status; False when it is another one."""
        place = {"of_product": product_id, "before": before, "after": after}
        return bool(await tx.execute(_MOVE, place))

    async def status(self, product_id: int) -> Status:
        """The status of a product; unspecified when there is none."""
        rows = await self._store.fetch_all(_ONE, {"of_product": product_id})
        return rows[0].status if rows else product_pb2.PRODUCT_STATUS_UNSPECIFIED

    async def statuses(self) -> Mapping[int, Status]:
        """The status of every product."""
        return {row.product_id: row.status for row in await self._store.fetch_all(_ALL)}


class Receipts:
    """Keeps checks and proposals with the chain that they belong to."""

    async def keep(self, tx: Transaction, checks: Sequence[Check]) -> None:
        """Keep the checks."""
        chain = context.current().chain
        rows = [
            {
                "receipt_id": check.receipt_id,
                "customer_id": check.customer_id,
                "product_id": check.offer.product_id,
                "product_version": check.offer.version,
                "suitable": check.suitable,
                "reasons": ",".join(map(str, check.reasons)),
                "risk_grade": check.risk_grade,
                "scene_version": chain.scene_version,
                "task_id": chain.task_id,
                "create_us": to_micros(check.time),
            }
            for check in checks
        ]
        await tx.execute(_KEEP_CHECK, rows)

    async def propose(self, tx: Transaction, proposal: product_pb2.Proposal) -> None:
        """Keep the proposal."""
        row = {
            "proposal_id": proposal.proposal_id,
            "customer_id": proposal.customer_id,
            "author": proposal.author,
            "create_us": proposal.create_time.ToMicroseconds(),
            "body": proposal.SerializeToString(),
        }
        await tx.execute(_KEEP_PROPOSAL, row)
