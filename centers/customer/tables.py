"""The customer centre's tables; `migrations` makes them.

Times are microseconds since 1970, UTC. A list is read along an index: of an
owner, of a branch or of all, by tier or by token. Every database keeps the
primary key at the end of each index by itself.

`customer_share` holds the shares of those customers alone who are looked after
by several, as `is_shared` tells; position 0 is the owner's.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

customer: Final = sa.Table(
    "customer",
    metadata,
    sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("tier", sa.SmallInteger, nullable=False),
    sa.Column("risk_grade", sa.SmallInteger, nullable=False),
    sa.Column("risk_grade_expire_us", sa.BigInteger),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("has_wecom", sa.Boolean, nullable=False),
    sa.Column("owner_kind", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("senior", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_shared", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("customer_owner", "owner_id"),
    sa.Index("customer_owner_tier", "owner_id", "tier"),
    sa.Index("customer_branch", "branch_id"),
    sa.Index("customer_branch_tier", "branch_id", "tier"),
    sa.Index("customer_tier", "tier"),
)

customer_share: Final = sa.Table(
    "customer_share",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("staff_id", sa.BigInteger, nullable=False),
    sa.Column("share_bp", sa.Integer, nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Index("customer_share_staff", "staff_id", "customer_id"),
)

follow_up: Final = sa.Table(
    "follow_up",
    metadata,
    sa.Column("follow_up_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("summary", sa.String(2000), nullable=False),
    sa.Column("next_step", sa.String(500), nullable=False),
    sa.Column("next_us", sa.BigInteger),
    sa.Column("author", sa.String(200), nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("follow_up_customer", "customer_id", "create_us"),
)
