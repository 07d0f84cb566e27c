"""Products, suitability checks and proposals."""

import sqlalchemy as sa
from alembic import op

from mesh import definitions

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    definitions.create_table(op)
    op.create_table(
        "product",
        sa.Column("product_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("code", sa.String(20), nullable=False, unique=True),
        sa.Column("status", sa.SmallInteger, nullable=False),
    )
    op.create_table(
        "suitability_check",
        sa.Column("receipt_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("product_id", sa.BigInteger, nullable=False),
        sa.Column("product_version", sa.Integer, nullable=False),
        sa.Column("suitable", sa.Boolean, nullable=False),
        sa.Column("reasons", sa.String(100), nullable=False),
        sa.Column("risk_grade", sa.SmallInteger, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
    )
    op.create_index("suitability_check_customer", "suitability_check", ["customer_id", "create_us"])
    op.create_table(
        "proposal",
        sa.Column("proposal_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
