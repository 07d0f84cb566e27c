"""The call platform's tables; `migrations` makes them. Times are microseconds, UTC."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from simulators.reports import report as report  # noqa: PLC0414 - a table of its own too

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

plan: Final = sa.Table(
    "call_plan",
    metadata,
    sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("answered", sa.Boolean, nullable=False),
    sa.Column("talk_us", sa.BigInteger, nullable=False),
)

call: Final = sa.Table(
    "call",
    metadata,
    sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("staff_id", sa.BigInteger, nullable=False),
    sa.Column("dial_us", sa.BigInteger, nullable=False),
)
