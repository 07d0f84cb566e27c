"""The product centre's tables; `migrations` makes them.

Definitions lie in the table of `mesh.definitions`. Times are microseconds since
1970, UTC.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

product: Final = sa.Table(
    "product",
    metadata,
    sa.Column("product_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("code", sa.String(20), nullable=False, unique=True),
    sa.Column("status", sa.SmallInteger, nullable=False),
)
"""The code of a product, and whether it may be offered."""

suitability_check: Final = sa.Table(
    "suitability_check",
    metadata,
    sa.Column("receipt_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("product_id", sa.BigInteger, nullable=False),
    sa.Column("product_version", sa.Integer, nullable=False),
    sa.Column("suitable", sa.Boolean, nullable=False),
    sa.Column("reasons", sa.String(100), nullable=False, comment="numbers of the contract"),
    sa.Column("risk_grade", sa.SmallInteger, nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Index("suitability_check_customer", "customer_id", "create_us"),
)

proposal: Final = sa.Table(
    "proposal",
    metadata,
    sa.Column("proposal_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("author", sa.String(200), nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="engine.product.v1.Proposal"),
)
