"""How far the log of a sequence may have come that is in Redis."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log_floor",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("lineage", sa.BigInteger, nullable=False, comment="0: the log is in here"),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("capacity", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("log_floor")
