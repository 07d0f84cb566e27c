"""Activities, stock, grants, and the tasks that they are part of."""

import sqlalchemy as sa
from alembic import op

from mesh import definitions

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    definitions.create_table(op)
    op.create_table(
        "stock",
        sa.Column("activity_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("sku", sa.String(40), nullable=False),
        sa.Column("issued", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("available", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("granted", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("redeemed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("wait_listed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("arrivals", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("limit_per_customer", sa.Integer, nullable=False),
        sa.Column("start_us", sa.BigInteger, nullable=False),
        sa.Column("end_us", sa.BigInteger, nullable=False),
        sa.CheckConstraint("issued = available + granted + redeemed", name="stock_balanced"),
        sa.CheckConstraint(
            "available >= 0 AND granted >= 0 AND redeemed >= 0 AND wait_listed >= 0",
            name="stock_not_negative",
        ),
        sa.CheckConstraint("available = 0 OR wait_listed = 0", name="stock_nobody_waits_in_vain"),
    )
    op.create_table(
        "benefit_grant",
        sa.Column("grant_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("activity_id", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("reason_key", sa.String(64), nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("contact_id", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("revoke_reason", sa.String(64), nullable=False, server_default=""),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
        sa.UniqueConstraint(
            "activity_id", "customer_id", "reason_key", name="benefit_grant_reason"
        ),
    )
    op.create_index("benefit_grant_customer", "benefit_grant", ["customer_id", "grant_id"])
    op.create_index(
        "benefit_grant_waiting",
        "benefit_grant",
        ["activity_id", "place"],
        sqlite_where=sa.text("place > 0"),
    )
    op.create_table(
        "task",
        sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("contact_id", sa.BigInteger, nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
    )
