"""Sequences, and every range that was ever granted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sequence",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("max_value", sa.BigInteger, nullable=False),
        sa.Column("last_value", sa.BigInteger, nullable=False),
        sa.Column("lease_number", sa.BigInteger, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lease",
        sa.Column("sequence", sa.String(100), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("client_id", sa.String(300), nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
    )
    op.create_index("lease_first", "lease", ["sequence", "first"])
    op.create_index("lease_state", "lease", ["sequence", "state", "size", "first"])


def downgrade() -> None:
    op.drop_table("lease")
    op.drop_table("sequence")
