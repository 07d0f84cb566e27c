"""The action centre's tables; `migrations` makes them, and that of definitions.

Times are microseconds since 1970, UTC; states and kinds are the contract's
numbers. Every database keeps the primary key at the end of each index by itself.

`scene_run` has a row for each version of a scene: where it stands, and what its
simulation said. `launch_no` counts the launches of a scene: the present version
has the highest. `turn_us` is 0 until it is launched.

`task.open_objective` is the objective while the task is open and NULL after: so
that the database itself keeps a customer from two open tasks of one objective.
`task.open_expire_us` likewise, and `opportunity.open_expire_us`, while it is worth
acting on. `reversed_trigger` has the triggers that were taken back before an
opportunity was made of them: a dead letter may come late. No index begins with
`is_open`: a database without statistics would take it for selective.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

scene_run: Final = sa.Table(
    "scene_run",
    metadata,
    sa.Column("scene_version", _ID, primary_key=True, autoincrement=False),
    sa.Column("scene_id", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("launch_no", sa.Integer, nullable=False),
    sa.Column("edits", sa.Integer, nullable=False),
    sa.Column("simulation", sa.LargeBinary),
    sa.Column("turn_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("scene_run_version", "scene_id", "version", unique=True),
    sa.Index("scene_run_launch", "scene_id", "launch_no"),
)

opportunity: Final = sa.Table(
    "opportunity",
    metadata,
    sa.Column("opportunity_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("scene_id", sa.BigInteger, nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("window_key", sa.BigInteger, nullable=False),
    sa.Column("arm", sa.SmallInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("suppress_reason", sa.SmallInteger, nullable=False),
    sa.Column("occurred_us", sa.BigInteger, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("expire_us", sa.BigInteger, nullable=False),
    sa.Column("open_expire_us", sa.BigInteger),
    sa.Index("opportunity_trigger", "trigger_id", unique=True),
    sa.Index("opportunity_key", "scene_version", "customer_id", "window_key", unique=True),
    sa.Index("opportunity_state", "scene_version", "state"),
    sa.Index("opportunity_scene", "scene_version"),
    sa.Index("opportunity_expiry", "open_expire_us"),
)

reversed_trigger: Final = sa.Table(
    "reversed_trigger",
    metadata,
    sa.Column("trigger_id", _ID, primary_key=True, autoincrement=False),
)

task: Final = sa.Table(
    "task",
    metadata,
    sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("scene_id", sa.BigInteger, nullable=False),
    sa.Column("node", sa.SmallInteger, nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("owner_kind", sa.SmallInteger, nullable=False),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("objective", sa.String(64), nullable=False),
    sa.Column("open_objective", sa.String(64)),
    sa.Column("due_us", sa.BigInteger, nullable=False),
    sa.Column("expire_us", sa.BigInteger, nullable=False),
    sa.Column("open_expire_us", sa.BigInteger),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
    sa.Column("outcome", sa.SmallInteger, nullable=False),
    sa.Column("lease_holder", sa.String(200), nullable=False),
    sa.Column("lease_us", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("task_objective", "customer_id", "open_objective", unique=True),
    sa.Index("task_owner_open", "owner_id", "is_open", "due_us"),
    sa.Index("task_owner_state", "owner_id", "state", "due_us"),
    sa.Index("task_scene", "scene_id", "is_open", "scene_version"),
    sa.Index("task_opportunity", "opportunity_id"),
    sa.Index("task_expiry", "open_expire_us"),
)

task_owner: Final = sa.Table(
    "task_owner",
    metadata,
    sa.Column("task_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("from_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("to_us", sa.BigInteger),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
)
