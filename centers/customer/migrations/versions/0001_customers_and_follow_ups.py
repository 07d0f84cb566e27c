"""Customers by token, and follow-ups."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("tier", sa.SmallInteger, nullable=False),
        sa.Column("risk_grade", sa.SmallInteger, nullable=False),
        sa.Column("risk_grade_expire_us", sa.BigInteger),
        sa.Column("owner_id", sa.BigInteger, nullable=False),
        sa.Column("branch_id", sa.BigInteger, nullable=False),
        sa.Column("has_wecom", sa.Boolean, nullable=False),
    )
    op.create_index("customer_owner", "customer", ["owner_id"])
    op.create_index("customer_owner_tier", "customer", ["owner_id", "tier"])
    op.create_index("customer_branch", "customer", ["branch_id"])
    op.create_index("customer_branch_tier", "customer", ["branch_id", "tier"])
    op.create_index("customer_tier", "customer", ["tier"])
    op.create_table(
        "follow_up",
        sa.Column("follow_up_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.String(2000), nullable=False),
        sa.Column("next_step", sa.String(500), nullable=False),
        sa.Column("next_us", sa.BigInteger),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("follow_up_customer", "follow_up", ["customer_id", "create_us"])
