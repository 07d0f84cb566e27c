"""The decision centre's tables; `migrations` makes them.

Times are microseconds since 1970, UTC. Amounts of customers lie in
`business_event.attributes` and nowhere else, under the customer's token.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

business_event: Final = sa.Table(
    "business_event",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event_type", sa.String(64), primary_key=True),
    sa.Column("occurred_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("business_key", sa.String(64), primary_key=True),
    sa.Column("attributes", sa.Text, nullable=False, comment="JSON"),
    sa.Column("ingest_us", sa.BigInteger, nullable=False),
    sa.Column("reversed_us", sa.BigInteger),
    sa.Index("business_event_key", "event_type", "business_key", unique=True),
    sqlite_with_rowid=False,
)
"""Lies in the order of its key: a customer's history is read in one go, and all histories are."""

reversal: Final = sa.Table(
    "reversal",
    metadata,
    sa.Column("event_type", sa.String(64), primary_key=True),
    sa.Column("business_key", sa.String(64), primary_key=True),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("ingest_us", sa.BigInteger, nullable=False),
)
"""All reversals; those whose event has not come wait here for it."""

log_head: Final = sa.Table(
    "log_head",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("last_us", sa.BigInteger, nullable=False),
)
"""One row: the stamp of the last request."""

launch: Final = sa.Table(
    "launch",
    metadata,
    sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("event_type", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("launch_us", sa.BigInteger, nullable=False),
    sa.Index("launch_status", "status"),
)
"""Versions that were launched, with their content: what ingest reads in its own transaction."""

decision: Final = sa.Table(
    "decision",
    metadata,
    sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("business_key", sa.String(64), primary_key=True),
    sa.Column("model_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("verdict", sa.SmallInteger, nullable=False),
    sa.Column("earlier", sa.Integer, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
)

model_trigger: Final = sa.Table(
    "model_trigger",
    metadata,
    sa.Column("trigger_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("model_id", sa.BigInteger, nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("scene_id", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("event_type", sa.String(64), nullable=False),
    sa.Column("business_key", sa.String(64), nullable=False),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("window_key", sa.BigInteger, nullable=False),
    sa.Column("reversed", sa.Boolean, nullable=False),
    sa.Index(
        "model_trigger_window",
        "model_id",
        "model_version",
        "customer_id",
        "window_key",
        unique=True,
    ),
    sa.Index("model_trigger_event", "event_type", "business_key"),
    sa.Index("model_trigger_model", "model_id", "create_us"),
)

absence_wait: Final = sa.Table(
    "absence_wait",
    metadata,
    sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("model_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("business_key", sa.String(64), primary_key=True),
    sa.Column("event_type", sa.String(64), nullable=False),
    sa.Column("scene_id", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("due_us", sa.BigInteger, nullable=False),
    sa.Column("absent", sa.String(64), nullable=False),
    sa.Column("window_key", sa.BigInteger, nullable=False),
    sa.Index("absence_wait_due", "due_us"),
    sa.Index("absence_wait_absent", "absent", "customer_id"),
    sa.Index("absence_wait_event", "event_type", "business_key"),
)

model_count: Final = sa.Table(
    "model_count",
    metadata,
    sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("model_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
)

backtest: Final = sa.Table(
    "backtest",
    metadata,
    sa.Column("backtest_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("model_id", sa.BigInteger, nullable=False),
    sa.Column("version_id", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("scene_id", sa.BigInteger, nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("backtest_version", "version_id", "revision"),
    sa.Index("backtest_create", "create_us"),
)

backtest_customer: Final = sa.Table(
    "backtest_customer",
    metadata,
    sa.Column("backtest_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("customer_ids", sa.LargeBinary, nullable=False),
)
"""Customers that a backtest fired on: rising tokens of 8 bytes each, many to a row."""
