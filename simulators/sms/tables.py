"""The carrier's tables; `migrations` makes them. Times are microseconds since 1970, UTC."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from simulators.reports import report as report  # noqa: PLC0414 - a table of its own too

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

plan: Final = sa.Table(
    "message_plan",
    metadata,
    sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("delivered", sa.Boolean, nullable=False),
    sa.Column("result_code", sa.String(64), nullable=False),
)

message: Final = sa.Table(
    "message",
    metadata,
    sa.Column("position", _ID, primary_key=True),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("text_sha256", sa.String(64), nullable=False),
    sa.Column("accept_us", sa.BigInteger, nullable=False),
    sa.Index("message_contact", "contact_id", unique=True),
    sa.Index("message_customer", "customer_id"),
    info={"ordered": "one writer at a time"},
)
