"""What kind of owner a customer has, who else works with him, and whether he is a senior."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
changes_data = "released so; the new column follows from others of its row"

_KINDS = """
UPDATE customer
SET owner_kind = CASE WHEN owner_id = 0 THEN 0 WHEN branch_id > 0 THEN 1 ELSE 2 END
"""


def upgrade() -> None:
    kind = sa.Column("owner_kind", sa.SmallInteger, nullable=False, server_default="0")
    senior = sa.Column("senior", sa.Boolean, nullable=False, server_default=sa.false())
    shared = sa.Column("is_shared", sa.Boolean, nullable=False, server_default=sa.false())
    for column in (kind, senior, shared):
        op.add_column("customer", column)
    op.execute(_KINDS)
    op.create_table(
        "customer_share",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("share_bp", sa.Integer, nullable=False),
        sa.Column("branch_id", sa.BigInteger, nullable=False),
    )
    op.create_index("customer_share_staff", "customer_share", ["staff_id", "customer_id"])
