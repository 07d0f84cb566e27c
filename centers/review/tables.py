"""The review centre's tables; `migrations` makes them.

Beside the log of behaviours lie facts: what the events of other centres say of the
parts of the chain, one row for each. `last_event` is the id of the newest event
that a row is from; it is empty where others spoke of the row before its own event
came. Enums are numbers of their contracts; times are microseconds since 1970, UTC.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

behavior: Final = sa.Table(
    "behavior",
    metadata,
    sa.Column("position", _ID, primary_key=True, autoincrement=False),
    sa.Column("event_id", sa.String(32), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False, comment="engine.mesh.v1.AuditRecord"),
    sa.Column("seal", sa.String(64), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("verb", sa.String(200), nullable=False),
    sa.Index("behavior_actor", "actor", "position"),
    sa.Index("behavior_branch", "branch_id", "position"),
    sa.Index("behavior_customer", "customer_id", "position"),
    sa.Index("behavior_task", "task_id", "position"),
    sa.Index("behavior_verb", "verb", "position"),
)
"""The log. Triggers refuse every change but an entry at the end."""

scene: Final = sa.Table(
    "scene",
    metadata,
    sa.Column("scene_version", _ID, primary_key=True, autoincrement=False),
    sa.Column("last_event", sa.String(32), nullable=False),
    sa.Column("holdout_bp", sa.Integer, nullable=False),
    sa.Column("success_metric", sa.String(64), nullable=False),
    sa.Column("newest_us", sa.BigInteger, nullable=False, comment="newest fact of the version"),
)
"""Versions of scenes. `newest_us` is 0 before the first fact."""

opportunity: Final = sa.Table(
    "opportunity",
    metadata,
    sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("last_event", sa.String(32), nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("arm", sa.SmallInteger, nullable=False, comment="0: not told yet"),
    sa.Column("suppress_reason", sa.SmallInteger, nullable=False),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("tasked", sa.Boolean, nullable=False, comment="it has a task"),
    sa.Column("attempted", sa.Boolean, nullable=False, comment="a contact has a receipt"),
    sa.Column("reached", sa.Boolean, nullable=False, comment="a contact reached him"),
    sa.Column("interested", sa.Boolean, nullable=False, comment="a task ended so"),
    sa.Index(
        "opportunity_stage",
        "scene_version",
        "arm",
        "suppress_reason",
        "tasked",
        "attempted",
        "reached",
        "interested",
    ),
    sa.Index("opportunity_arm", "scene_version", "arm", "customer_id"),
    sa.Index("opportunity_customer", "customer_id"),
)

task: Final = sa.Table(
    "task",
    metadata,
    sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("last_event", sa.String(32), nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("owner_kind", sa.SmallInteger, nullable=False, comment="of its first owner"),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Index("task_kind", "scene_version", "owner_kind", "state"),
)

contact: Final = sa.Table(
    "contact",
    metadata,
    sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("last_event", sa.String(32), nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("channel", sa.SmallInteger, nullable=False),
    sa.Column("decision", sa.SmallInteger, nullable=False, comment="of its admission"),
    sa.Column("reason", sa.SmallInteger, nullable=False, comment="of its admission"),
    sa.Column("sent", sa.Boolean, nullable=False, comment="was ever sent"),
    sa.Column("delivered", sa.Boolean, nullable=False, comment="was ever delivered"),
    sa.Column("reached", sa.Boolean, nullable=False, comment="reached the customer"),
    sa.Index(
        "contact_kind",
        "scene_version",
        "channel",
        "decision",
        "reason",
        "sent",
        "delivered",
        "reached",
    ),
)

benefit_grant: Final = sa.Table(
    "benefit_grant",
    metadata,
    sa.Column("grant_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("last_event", sa.String(32), nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("granted", sa.Boolean, nullable=False, comment="was ever granted"),
    sa.Index("benefit_grant_kind", "scene_version", "state", "granted"),
)

result: Final = sa.Table(
    "result",
    metadata,
    sa.Column("result_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("last_event", sa.String(32), nullable=False),
    sa.Column("metric", sa.String(64), nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("holds", sa.Boolean, nullable=False, comment="counts, and was not taken back"),
    sa.Index("result_customer", "customer_id", "occurred_us"),
)

conversion: Final = sa.Table(
    "conversion",
    metadata,
    sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("result_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("metric", sa.String(64), nullable=False),
    sa.Column("arm", sa.SmallInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("holds", sa.Boolean, nullable=False, comment="as the result's"),
    sa.Index("conversion_arm", "scene_version", "metric", "holds", "arm", "customer_id"),
    sa.Index("conversion_result", "result_id"),
)
"""Results that came within the time in which they count for an opportunity."""
