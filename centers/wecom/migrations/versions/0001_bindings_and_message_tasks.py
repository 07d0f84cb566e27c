"""Bindings of customers, message tasks and reminders of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "binding",
        sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("external_userid", sa.String(64), nullable=False),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("bind_us", sa.BigInteger, nullable=False),
    )
    op.create_index("binding_external", "binding", ["external_userid"], unique=True)
    op.create_table(
        "message_task",
        sa.Column("message_task_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("contact_id", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("external_userid", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("msgid", sa.String(64)),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("result_code", sa.String(64), nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
        sa.Column("offered", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_us", sa.BigInteger),
    )
    op.create_index("message_task_contact", "message_task", ["contact_id"], unique=True)
    op.create_index("message_task_msgid", "message_task", ["msgid"], unique=True)
    op.create_index("message_task_member", "message_task", ["staff_id", "state", "create_us"])
    op.create_index("message_task_due", "message_task", ["due_us"])
    op.create_table(
        "reminder",
        sa.Column("reminder_id", _ID, primary_key=True),
        sa.Column("message_task_id", sa.BigInteger, nullable=False),
        sa.Column("remind_us", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )
    op.create_index("reminder_task", "reminder", ["message_task_id", "remind_us"])
    op.create_index("reminder_told", "reminder", ["told"])
