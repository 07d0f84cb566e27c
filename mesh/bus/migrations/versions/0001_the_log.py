"""The log, the groups that read it, and what they gave up."""

# ruff: noqa: D103, INP001 - as every revision

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "bus_event",
        sa.Column("position", _ID, primary_key=True),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("append_us", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("bus_event_topic", "bus_event", ["topic"])
    op.create_table(
        "bus_group",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("topic", sa.String(64), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bus_dead_letter",
        sa.Column("dead_letter_id", _ID, primary_key=True),
        sa.Column("group_name", sa.String(128), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.String(200), nullable=False),
        sa.Column("bury_us", sa.BigInteger, nullable=False),
        sa.Column("replaying", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "bus_dead_letter_event",
        "bus_dead_letter",
        ["group_name", "topic", "position"],
        unique=True,
    )
