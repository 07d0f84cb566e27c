"""The behaviour log, which only grows, and the facts that a review counts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_REFUSE = "BEGIN SELECT RAISE(ABORT, 'the behaviour log is append-only'); END"
_AT_THE_END = "NEW.position = (SELECT COALESCE(MAX(position), 0) + 1 FROM behavior)"
_SIGNAL = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the behaviour log is append-only'"
_UNLESS_AT_THE_END = f"IF NOT {_AT_THE_END} THEN {_SIGNAL}; END IF"
_APPEND_ONLY = {
    "sqlite": (
        f"CREATE TRIGGER behavior_no_update BEFORE UPDATE ON behavior {_REFUSE}",
        f"CREATE TRIGGER behavior_no_delete BEFORE DELETE ON behavior {_REFUSE}",
        f"CREATE TRIGGER behavior_gap BEFORE INSERT ON behavior WHEN NOT {_AT_THE_END} {_REFUSE}",
    ),
    "mysql": (
        f"CREATE TRIGGER behavior_no_update BEFORE UPDATE ON behavior FOR EACH ROW {_SIGNAL}",
        f"CREATE TRIGGER behavior_no_delete BEFORE DELETE ON behavior FOR EACH ROW {_SIGNAL}",
        f"CREATE TRIGGER behavior_gap BEFORE INSERT ON behavior FOR EACH ROW {_UNLESS_AT_THE_END}",
    ),
    "tidb": (),  # it has no triggers
}
"""The last one also stops `INSERT OR REPLACE`, which SQLite lets delete without a trigger."""


def upgrade() -> None:
    op.create_table(
        "behavior",
        sa.Column("position", _ID, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("branch_id", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("verb", sa.String(200), nullable=False),
    )
    op.create_index("behavior_actor", "behavior", ["actor", "position"])
    op.create_index("behavior_branch", "behavior", ["branch_id", "position"])
    op.create_index("behavior_customer", "behavior", ["customer_id", "position"])
    op.create_index("behavior_task", "behavior", ["task_id", "position"])
    op.create_index("behavior_verb", "behavior", ["verb", "position"])
    for trigger in _APPEND_ONLY[_kind()]:
        op.execute(trigger)
    op.create_table(
        "scene",
        sa.Column("scene_version", _ID, primary_key=True, autoincrement=False),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("holdout_bp", sa.Integer, nullable=False),
        sa.Column("success_metric", sa.String(64), nullable=False),
        sa.Column("newest_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "opportunity",
        sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("arm", sa.SmallInteger, nullable=False),
        sa.Column("suppress_reason", sa.SmallInteger, nullable=False),
        sa.Column("occurred_us", sa.BigInteger, nullable=False),
        sa.Column("tasked", sa.Boolean, nullable=False),
        sa.Column("attempted", sa.Boolean, nullable=False),
        sa.Column("reached", sa.Boolean, nullable=False),
        sa.Column("interested", sa.Boolean, nullable=False),
    )
    op.create_index(
        "opportunity_stage",
        "opportunity",
        ["scene_version", "arm", "suppress_reason", "tasked", "attempted", "reached", "interested"],
    )
    op.create_index("opportunity_arm", "opportunity", ["scene_version", "arm", "customer_id"])
    op.create_index("opportunity_customer", "opportunity", ["customer_id"])
    op.create_table(
        "task",
        sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("owner_kind", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
    )
    op.create_index("task_kind", "task", ["scene_version", "owner_kind", "state"])
    op.create_table(
        "contact",
        sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.SmallInteger, nullable=False),
        sa.Column("decision", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("sent", sa.Boolean, nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("reached", sa.Boolean, nullable=False),
    )
    op.create_index(
        "contact_kind",
        "contact",
        ["scene_version", "channel", "decision", "reason", "sent", "delivered", "reached"],
    )
    op.create_table(
        "benefit_grant",
        sa.Column("grant_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("granted", sa.Boolean, nullable=False),
    )
    op.create_index("benefit_grant_kind", "benefit_grant", ["scene_version", "state", "granted"])
    op.create_table(
        "result",
        sa.Column("result_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("last_event", sa.String(32), nullable=False),
        sa.Column("metric", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("occurred_us", sa.BigInteger, nullable=False),
        sa.Column("holds", sa.Boolean, nullable=False),
    )
    op.create_index("result_customer", "result", ["customer_id", "occurred_us"])
    op.create_table(
        "conversion",
        sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("result_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("metric", sa.String(64), nullable=False),
        sa.Column("arm", sa.SmallInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("holds", sa.Boolean, nullable=False),
    )
    op.create_index(
        "conversion_arm", "conversion", ["scene_version", "metric", "holds", "arm", "customer_id"]
    )
    op.create_index("conversion_result", "conversion", ["result_id"])


def _kind() -> str:
    context = op.get_context()
    if context.dialect.name == "sqlite":
        return "sqlite"
    if context.as_sql:
        return "mysql"
    return "tidb" if "TiDB" in str(op.get_bind().scalar(sa.text("SELECT VERSION()"))) else "mysql"
