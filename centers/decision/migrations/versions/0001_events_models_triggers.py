"""Events, launched models, decisions, triggers, waits and backtests."""

import sqlalchemy as sa
from alembic import op

from mesh import definitions

revision = "0001"
down_revision = None
changes_data = "released so; the one row of a new table"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    definitions.create_table(op)
    _log()
    _models()
    _triggers()
    _backtests()


def _log() -> None:
    op.create_table(
        "business_event",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_type", sa.String(64), primary_key=True),
        sa.Column("occurred_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("business_key", sa.String(64), primary_key=True),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("ingest_us", sa.BigInteger, nullable=False),
        sa.Column("reversed_us", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    key = ["event_type", "business_key"]
    op.create_index("business_event_key", "business_event", key, unique=True)
    op.create_table(
        "reversal",
        sa.Column("event_type", sa.String(64), primary_key=True),
        sa.Column("business_key", sa.String(64), primary_key=True),
        sa.Column("occurred_us", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("ingest_us", sa.BigInteger, nullable=False),
    )
    head = op.create_table(
        "log_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
    )
    op.execute(head.insert().values(id=1, last_us=0))


def _models() -> None:
    op.create_table(
        "launch",
        sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("event_type", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("launch_us", sa.BigInteger, nullable=False),
    )
    op.create_index("launch_status", "launch", ["status"])
    op.create_table(
        "decision",
        sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("business_key", sa.String(64), primary_key=True),
        sa.Column("model_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("verdict", sa.SmallInteger, nullable=False),
        sa.Column("earlier", sa.Integer, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "model_count",
        sa.Column("model_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("model_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )


def _triggers() -> None:
    op.create_table(
        "model_trigger",
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
    )
    window = ["model_id", "model_version", "customer_id", "window_key"]
    op.create_index("model_trigger_window", "model_trigger", window, unique=True)
    op.create_index("model_trigger_event", "model_trigger", ["event_type", "business_key"])
    op.create_index("model_trigger_model", "model_trigger", ["model_id", "create_us"])
    op.create_table(
        "absence_wait",
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
    )
    op.create_index("absence_wait_due", "absence_wait", ["due_us"])
    op.create_index("absence_wait_absent", "absence_wait", ["absent", "customer_id"])
    op.create_index("absence_wait_event", "absence_wait", ["event_type", "business_key"])


def _backtests() -> None:
    op.create_table(
        "backtest",
        sa.Column("backtest_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("model_id", sa.BigInteger, nullable=False),
        sa.Column("version_id", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("scene_id", sa.BigInteger, nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("backtest_version", "backtest", ["version_id", "revision"])
    op.create_index("backtest_create", "backtest", ["create_us"])
    op.create_table(
        "backtest_customer",
        sa.Column("backtest_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("customer_ids", sa.LargeBinary, nullable=False),
    )
