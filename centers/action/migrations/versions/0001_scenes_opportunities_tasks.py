"""Scenes and how they run, opportunities, tasks and who owned them when."""

import sqlalchemy as sa
from alembic import op

from mesh import definitions

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    definitions.create_table(op)
    _make_scene_run()
    _make_opportunity()
    _make_task()
    _make_task_owner()


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False)


def _id(name: str) -> sa.Column[int]:
    return sa.Column(name, _ID, primary_key=True, autoincrement=False)


def _make_scene_run() -> None:
    op.create_table(
        "scene_run",
        _id("scene_version"),
        _number("scene_id"),
        sa.Column("version", sa.Integer, nullable=False),
        _small("status"),
        sa.Column("launch_no", sa.Integer, nullable=False),
        sa.Column("edits", sa.Integer, nullable=False),
        sa.Column("simulation", sa.LargeBinary),
    )
    op.create_index("scene_run_version", "scene_run", ["scene_id", "version"], unique=True)
    op.create_index("scene_run_launch", "scene_run", ["scene_id", "launch_no"])


def _make_opportunity() -> None:
    op.create_table(
        "opportunity",
        _id("opportunity_id"),
        *map(_number, ("trigger_id", "scene_id", "scene_version", "customer_id", "window_key")),
        *map(_small, ("arm", "state", "suppress_reason")),
        *map(_number, ("occurred_us", "create_us", "expire_us")),
    )
    key = ["scene_version", "customer_id", "window_key"]
    op.create_index("opportunity_trigger", "opportunity", ["trigger_id"], unique=True)
    op.create_index("opportunity_key", "opportunity", key, unique=True)
    op.create_index("opportunity_state", "opportunity", ["scene_version", "state"])
    op.create_index("opportunity_scene", "opportunity", ["scene_version"])


def _make_task() -> None:
    op.create_table(
        "task",
        _id("task_id"),
        *map(_number, ("scene_version", "trigger_id", "opportunity_id", "contact_id", "scene_id")),
        _small("node"),
        _number("customer_id"),
        _small("owner_kind"),
        *map(_number, ("owner_id", "branch_id")),
        _small("state"),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("objective", sa.String(64), nullable=False),
        sa.Column("open_objective", sa.String(64)),
        *map(_number, ("due_us", "expire_us")),
        sa.Column("open_expire_us", sa.BigInteger),
        *map(_number, ("create_us", "update_us")),
        _small("outcome"),
        sa.Column("lease_holder", sa.String(200), nullable=False),
        _number("lease_us"),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("task_objective", "task", ["customer_id", "open_objective"], unique=True)
    op.create_index("task_owner_open", "task", ["owner_id", "is_open", "due_us"])
    op.create_index("task_owner_state", "task", ["owner_id", "state", "due_us"])
    op.create_index("task_scene", "task", ["scene_id", "is_open", "scene_version"])
    op.create_index("task_opportunity", "task", ["opportunity_id"])
    op.create_index("task_expiry", "task", ["open_expire_us"])


def _make_task_owner() -> None:
    op.create_table(
        "task_owner",
        sa.Column("task_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("from_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("to_us", sa.BigInteger),
        _small("kind"),
        *map(_number, ("owner_id", "branch_id")),
        sa.Column("reason", sa.String(64), nullable=False),
    )
