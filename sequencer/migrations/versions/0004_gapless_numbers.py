"""Numbers without gaps: where each sequence stands, and what became of every number."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gapless_head",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False, comment="0: no lease runs"),
    )
    op.create_table(
        "gapless_run",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.Column("fate", sa.SmallInteger, nullable=False),
        sa.Column("holder", sa.String(300), nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("expire_us", sa.BigInteger, nullable=False),
        sa.Column("reservation", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("whole", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
    )
    op.create_index("gapless_run_fate", "gapless_run", ["fate", "sequence", "position"])
    op.create_index("gapless_run_reservation", "gapless_run", ["sequence", "reservation"])
    op.create_table(
        "gapless_taken",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("caller", sa.String(200), primary_key=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "gapless_report",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("expired", sa.BigInteger, nullable=False),
        sa.Column("released", sa.BigInteger, nullable=False),
        sa.Column("void", sa.BigInteger, nullable=False),
        sa.Column("lost_track", sa.BigInteger, nullable=False),
        sa.Column("oldest_us", sa.BigInteger, nullable=False, comment="0: nothing is open"),
        sa.Column("report_us", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("gapless_report")
    op.drop_table("gapless_taken")
    op.drop_table("gapless_run")
    op.drop_table("gapless_head")
