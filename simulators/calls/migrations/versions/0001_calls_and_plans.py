"""Calls, how customers answer them, and the reports owed."""

import sqlalchemy as sa
from alembic import op

from simulators.reports import create_table

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "call_plan",
        sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("answered", sa.Boolean, nullable=False),
        sa.Column("talk_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "call",
        sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("dial_us", sa.BigInteger, nullable=False),
    )
    create_table(op)
