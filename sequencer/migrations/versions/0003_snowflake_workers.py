"""Workers of snowflake sequences: where each sequence stands, who holds which, who did."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker_head",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "worker",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(300), nullable=False),
        sa.Column("from_tick", sa.BigInteger, nullable=False),
        sa.Column("until_tick", sa.BigInteger, nullable=False),
    )
    op.create_index("worker_until", "worker", ["sequence", "until_tick", "worker_id"])
    op.create_table(
        "worker_window",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("from_tick", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("until_tick", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(300), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("worker_window")
    op.drop_table("worker")
    op.drop_table("worker_head")
