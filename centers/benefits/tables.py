"""The benefits centre's tables; `migrations` makes them.

Activities lie in the table of `mesh.definitions`. Times are microseconds since
1970, UTC.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

stock: Final = sa.Table(
    "stock",
    metadata,
    sa.Column("activity_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("sku", sa.String(40), nullable=False),
    sa.Column("issued", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("available", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("granted", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("redeemed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("wait_listed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("arrivals", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("limit_per_customer", sa.Integer, nullable=False),
    sa.Column("start_us", sa.BigInteger, nullable=False, comment="0: at once"),
    sa.Column("end_us", sa.BigInteger, nullable=False, comment="0: no end"),
    sa.CheckConstraint("issued = available + granted + redeemed", name="stock_balanced"),
    sa.CheckConstraint(
        "available >= 0 AND granted >= 0 AND redeemed >= 0 AND wait_listed >= 0",
        name="stock_not_negative",
    ),
    sa.CheckConstraint("available = 0 OR wait_listed = 0", name="stock_nobody_waits_in_vain"),
)
"""What there is of each activity that was ever approved, and beside it the terms in
force, so that a claim reads one row. `arrivals` numbers those who ever had to wait."""

grant: Final = sa.Table(
    "benefit_grant",
    metadata,
    sa.Column("grant_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("activity_id", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("reason_key", sa.String(64), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False, comment="on the wait list; 0: none"),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("revoke_reason", sa.String(64), nullable=False, server_default=""),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("activity_id", "customer_id", "reason_key", name="benefit_grant_reason"),
    sa.Index("benefit_grant_customer", "customer_id", "grant_id"),
    sa.Index(
        "benefit_grant_waiting",
        "activity_id",
        "place",
        sqlite_where=sa.text("place > 0"),
    ),
)
"""Grants and claims that wait. Who waits has a place; nobody else has."""

task: Final = sa.Table(
    "task",
    metadata,
    sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
)
"""Tasks as the action centre told of them."""
