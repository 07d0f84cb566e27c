"""WeCom's tables; `migrations` makes them. Times are microseconds since 1970, UTC."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from simulators.reports import report as report  # noqa: PLC0414 - a table of its own too

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

plan: Final = sa.Table(
    "contact_plan",
    metadata,
    sa.Column("external_userid", sa.String(64), primary_key=True),
    sa.Column("result_code", sa.String(64), nullable=False),
)

message_task: Final = sa.Table(
    "message_task",
    metadata,
    sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("msgid", sa.String(64), nullable=False),
    sa.Column("external_userid", sa.String(64), nullable=False),
    sa.Column("userid", sa.String(64), nullable=False),
    sa.Column("text_sha256", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("add_us", sa.BigInteger, nullable=False),
    sa.Index("message_task_msgid", "msgid", unique=True),
)

reminder: Final = sa.Table(
    "reminder",
    metadata,
    sa.Column("reminder_id", _ID, primary_key=True),
    sa.Column("msgid", sa.String(64), nullable=False),
    sa.Column("remind_us", sa.BigInteger, nullable=False),
    sa.Index("reminder_msgid", "msgid", "remind_us"),
)

month_count: Final = sa.Table(
    "month_count",
    metadata,
    sa.Column("external_userid", sa.String(64), primary_key=True),
    sa.Column("month", sa.String(7), primary_key=True),
    sa.Column("sent", sa.Integer, nullable=False),
)
"""Messages to an external contact in a calendar month ("2026-11") of the bank's zone."""
