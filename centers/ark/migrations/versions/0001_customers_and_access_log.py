"""Customers in clear, and the log of accesses to them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("cif", sa.String(20), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("phone", sa.String(20), nullable=False),
        sa.Column("id_card", sa.String(20), nullable=False),
        sa.Column("aum_fen", sa.BigInteger, nullable=False),
        sa.Column("import_us", sa.BigInteger, nullable=False),
    )
    op.create_index("customer_cif", "customer", ["cif"], unique=True)
    op.create_index("customer_import", "customer", ["import_us"])
    op.create_table(
        "access_log",
        sa.Column("position", _ID, primary_key=True, autoincrement=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("service", sa.String(100), nullable=False),
        sa.Column("purpose", sa.String(100), nullable=False),
        sa.Column("customers", sa.Integer, nullable=False),
        sa.Column("fields", sa.String(200), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
