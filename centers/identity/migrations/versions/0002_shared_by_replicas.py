"""What several processes of the centre must agree on: failed attempts, and ends in their order."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("name_digest", sa.String(64), primary_key=True),
        sa.Column("times", sa.String(200), nullable=False),
        sa.Column("tried", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.add_column(
        "sessions", sa.Column("end_position", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_index("ix_sessions_end_position", "sessions", ["end_position"])
