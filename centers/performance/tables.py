"""The performance centre's tables; `migrations` makes them.

Amounts are fen, times microseconds since 1970, UTC. Dates are business dates
(ISO 8601). An id of 0 means that there is none.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

result: Final = sa.Table(
    "result",
    metadata,
    sa.Column("result_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("metric", sa.SmallInteger, nullable=False),
    sa.Column("business_key", sa.String(64), nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("money_class", sa.String(40), nullable=False),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("business_date", sa.String(10), nullable=False),
    sa.Column("counts", sa.SmallInteger, nullable=False, comment="1: for its metric"),
    sa.Column("reversed", sa.SmallInteger, nullable=False, comment="1: taken back"),
    sa.Column("reverse_date", sa.String(10), nullable=False, server_default=""),
    sa.Column("reverse_reason", sa.String(64), nullable=False, server_default=""),
    sa.Column("owners", sa.Integer, nullable=False, comment="0: nobody got it"),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("recorded_us", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("business_key", "metric", name="result_business_key"),
    sa.CheckConstraint("amount_fen > 0", name="result_amount"),
    sa.Index("result_customer", "customer_id", "recorded_us"),
    sa.Index("result_day", "metric", "business_date", "counts", "scene_version", "amount_fen"),
    sa.Index("result_scene", "metric", "scene_version", "business_date", "counts", "amount_fen"),
    sa.Index(
        "result_reversed",
        "metric",
        "reverse_date",
        "counts",
        "scene_version",
        "amount_fen",
        sqlite_where=sa.text("reversed = 1"),
    ),
    sa.Index(
        "result_split", "metric", "business_date", "customer_id", sqlite_where=sa.text("owners > 1")
    ),
)
"""Money that moved, once for each metric and business key, with the chain that led to it."""

tombstone: Final = sa.Table(
    "result_tombstone",
    metadata,
    sa.Column("business_key", sa.String(64), primary_key=True),
    sa.Column("metric", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("business_date", sa.String(10), nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
)
"""Reversals that came before their result."""

credit: Final = sa.Table(
    "credit",
    metadata,
    sa.Column("credit_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("result_id", sa.BigInteger, nullable=False),
    sa.Column("metric", sa.SmallInteger, nullable=False),
    sa.Column("business_key", sa.String(64), nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("sign", sa.SmallInteger, nullable=False, comment="1: origin, -1: reverse"),
    sa.Column("share_bp", sa.Integer, nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("rule_version", sa.Integer, nullable=False),
    sa.Column("business_date", sa.String(10), nullable=False),
    sa.Column("reversed_credit_id", sa.BigInteger, unique=True, comment="NULL: undoes none"),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Index("credit_result", "result_id"),
    sa.Index("credit_customer", "customer_id", "credit_id"),
    sa.Index(
        "credit_day",
        "metric",
        "business_date",
        "scene_version",
        "owner_id",
        "branch_id",
        "amount_fen",
        "sign",
    ),
    sa.Index(
        "credit_scene",
        "metric",
        "scene_version",
        "business_date",
        "owner_id",
        "branch_id",
        "amount_fen",
        "sign",
    ),
    sa.Index("credit_owner", "metric", "owner_id", "credit_id"),
    sa.Index("credit_branch", "metric", "branch_id", "credit_id"),
    sa.Index(
        "credit_owner_sums",
        "metric",
        "owner_id",
        "branch_id",
        "business_date",
        "scene_version",
        "amount_fen",
        "sign",
    ),
    sa.Index(
        "credit_branch_sums",
        "metric",
        "branch_id",
        "owner_id",
        "business_date",
        "scene_version",
        "amount_fen",
        "sign",
    ),
)
"""The ledger: entries are inserted and never changed. Each is reversed once at the most."""

opportunity: Final = sa.Table(
    "opportunity",
    metadata,
    sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("acted_on", sa.SmallInteger, nullable=False, comment="0: suppressed"),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
)
"""Opportunities of treated customers, as the action centre told of them."""

task: Final = sa.Table(
    "task",
    metadata,
    sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
)
"""Tasks, as the action centre told of them."""

contact: Final = sa.Table(
    "contact",
    metadata,
    sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("reached_us", sa.BigInteger, nullable=False, comment="when he was first reached"),
)
"""Contacts that reached their customer, as the reach centre told of them."""
