"""The adapter's tables; `migrations` makes them.

Times are microseconds since 1970, UTC. `text` is empty once WeCom has it. What
WeCom must still be told is read along an index: `due_us` of tasks that were not
handed over (none for all others), `told` of reminders. A process that takes one up
has it until `due_us` or `held_us`.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

binding: Final = sa.Table(
    "binding",
    metadata,
    sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("external_userid", sa.String(64), nullable=False),
    sa.Column("staff_id", sa.BigInteger, nullable=False),
    sa.Column("bind_us", sa.BigInteger, nullable=False),
    sa.Index("binding_external", "external_userid", unique=True),
)

message_task: Final = sa.Table(
    "message_task",
    metadata,
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
    sa.Index("message_task_contact", "contact_id", unique=True),
    sa.Index("message_task_msgid", "msgid", unique=True),
    sa.Index("message_task_member", "staff_id", "state", "create_us"),
    sa.Index("message_task_due", "due_us"),
)

reminder: Final = sa.Table(
    "reminder",
    metadata,
    sa.Column("reminder_id", _ID, primary_key=True),
    sa.Column("message_task_id", sa.BigInteger, nullable=False),
    sa.Column("remind_us", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False),
    sa.Column("held_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("reminder_task", "message_task_id", "remind_us"),
    sa.Index("reminder_told", "told"),
)
