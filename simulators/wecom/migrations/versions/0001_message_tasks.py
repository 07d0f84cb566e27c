"""Message tasks, their reminders, what becomes of them, the limits, and the callbacks owed."""

import sqlalchemy as sa
from alembic import op

from simulators.reports import create_table

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "contact_plan",
        sa.Column("external_userid", sa.String(64), primary_key=True),
        sa.Column("result_code", sa.String(64), nullable=False),
    )
    op.create_table(
        "message_task",
        sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("msgid", sa.String(64), nullable=False),
        sa.Column("external_userid", sa.String(64), nullable=False),
        sa.Column("userid", sa.String(64), nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("add_us", sa.BigInteger, nullable=False),
    )
    op.create_index("message_task_msgid", "message_task", ["msgid"], unique=True)
    op.create_table(
        "reminder",
        sa.Column("reminder_id", _ID, primary_key=True),
        sa.Column("msgid", sa.String(64), nullable=False),
        sa.Column("remind_us", sa.BigInteger, nullable=False),
    )
    op.create_index("reminder_msgid", "reminder", ["msgid", "remind_us"])
    op.create_table(
        "month_count",
        sa.Column("external_userid", sa.String(64), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("sent", sa.Integer, nullable=False),
    )
    create_table(op)
