"""Results, credits, and what is known of their causes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "result",
        sa.Column("result_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("metric", sa.SmallInteger, nullable=False),
        sa.Column("business_key", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("amount_fen", sa.BigInteger, nullable=False),
        sa.Column("money_class", sa.String(40), nullable=False),
        sa.Column("occurred_us", sa.BigInteger, nullable=False),
        sa.Column("business_date", sa.String(10), nullable=False),
        sa.Column("counts", sa.SmallInteger, nullable=False),
        sa.Column("reversed", sa.SmallInteger, nullable=False),
        sa.Column("reverse_date", sa.String(10), nullable=False, server_default=""),
        sa.Column("reverse_reason", sa.String(64), nullable=False, server_default=""),
        sa.Column("owners", sa.Integer, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("contact_id", sa.BigInteger, nullable=False),
        sa.Column("recorded_us", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("business_key", "metric", name="result_business_key"),
        sa.CheckConstraint("amount_fen > 0", name="result_amount"),
    )
    op.create_index("result_customer", "result", ["customer_id", "recorded_us"])
    op.create_index(
        "result_day", "result", ["metric", "business_date", "counts", "scene_version", "amount_fen"]
    )
    op.create_index(
        "result_scene",
        "result",
        ["metric", "scene_version", "business_date", "counts", "amount_fen"],
    )
    op.create_index(
        "result_reversed",
        "result",
        ["metric", "reverse_date", "counts", "scene_version", "amount_fen"],
        sqlite_where=sa.text("reversed = 1"),
    )
    op.create_index(
        "result_split",
        "result",
        ["metric", "business_date", "customer_id"],
        sqlite_where=sa.text("owners > 1"),
    )
    op.create_table(
        "result_tombstone",
        sa.Column("business_key", sa.String(64), primary_key=True),
        sa.Column("metric", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("business_date", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
    )
    op.create_table(
        "credit",
        sa.Column("credit_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("result_id", sa.BigInteger, nullable=False),
        sa.Column("metric", sa.SmallInteger, nullable=False),
        sa.Column("business_key", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("owner_id", sa.BigInteger, nullable=False),
        sa.Column("branch_id", sa.BigInteger, nullable=False),
        sa.Column("amount_fen", sa.BigInteger, nullable=False),
        sa.Column("sign", sa.SmallInteger, nullable=False),
        sa.Column("share_bp", sa.Integer, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("contact_id", sa.BigInteger, nullable=False),
        sa.Column("rule_version", sa.Integer, nullable=False),
        sa.Column("business_date", sa.String(10), nullable=False),
        sa.Column("reversed_credit_id", sa.BigInteger, unique=True),
        sa.Column("create_us", sa.BigInteger, nullable=False),
    )
    op.create_index("credit_result", "credit", ["result_id"])
    op.create_index("credit_customer", "credit", ["customer_id", "credit_id"])
    op.create_index(
        "credit_day",
        "credit",
        ["metric", "business_date", "scene_version", "owner_id", "branch_id", "amount_fen", "sign"],
    )
    op.create_index(
        "credit_scene",
        "credit",
        ["metric", "scene_version", "business_date", "owner_id", "branch_id", "amount_fen", "sign"],
    )
    op.create_index("credit_owner", "credit", ["metric", "owner_id", "credit_id"])
    op.create_index("credit_branch", "credit", ["metric", "branch_id", "credit_id"])
    op.create_index(
        "credit_owner_sums",
        "credit",
        ["metric", "owner_id", "branch_id", "business_date", "scene_version", "amount_fen", "sign"],
    )
    op.create_index(
        "credit_branch_sums",
        "credit",
        ["metric", "branch_id", "owner_id", "business_date", "scene_version", "amount_fen", "sign"],
    )
    op.create_table(
        "opportunity",
        sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("acted_on", sa.SmallInteger, nullable=False),
        sa.Column("occurred_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "task",
        sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "contact",
        sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("reached_us", sa.BigInteger, nullable=False),
    )
