"""Contacts with their receipts, what is to be done about them, and what admission reads."""

import sqlalchemy as sa
from alembic import op

from mesh import definitions

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _contacts()
    _errands()
    _preferences()
    _projections()
    definitions.create_table(op)


def _contacts() -> None:
    op.create_table(
        "contact",
        sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.SmallInteger, nullable=False),
        sa.Column("contact_class", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("material_id", sa.BigInteger, nullable=False),
        sa.Column("material_version", sa.Integer, nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("product_id", sa.BigInteger, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
        sa.Column("go_us", sa.BigInteger, nullable=False),
        sa.Column("result_code", sa.String(64), nullable=False),
        sa.Column("talk_us", sa.BigInteger, nullable=False),
        sa.Column("receipt_id", sa.BigInteger, nullable=False),
        sa.Column("decision", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("checks", sa.Text, nullable=False),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("inputs_sha256", sa.String(64), nullable=False),
        sa.Column("next_us", sa.BigInteger),
        sa.Column("suitability_receipt_id", sa.BigInteger, nullable=False),
    )
    op.create_index("contact_customer", "contact", ["customer_id", "create_us"])
    op.create_index("contact_task", "contact", ["task_id"])


def _errands() -> None:
    op.create_table(
        "errand",
        sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("action", sa.SmallInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("product_ids", sa.Text, nullable=False),
        sa.Column("into", sa.SmallInteger, nullable=False),
        sa.Column("result_code", sa.String(64), nullable=False),
    )
    op.create_index("errand_due", "errand", ["due_us"])


def _preferences() -> None:
    op.create_table(
        "preference",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("channel", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("contact_class", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("said", sa.SmallInteger, nullable=False),
        sa.Column("said_us", sa.BigInteger, nullable=False),
        sa.Column("quiet_from", sa.SmallInteger, nullable=False),
        sa.Column("quiet_to", sa.SmallInteger, nullable=False),
        sa.Column("evidence", sa.String(64), nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
    )


def _projections() -> None:
    op.create_table(
        "scene_hold",
        sa.Column("scene_version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("told_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "task",
        sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("owner_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("scene_version", sa.BigInteger, nullable=False),
        sa.Column("trigger_id", sa.BigInteger, nullable=False),
        sa.Column("opportunity_id", sa.BigInteger, nullable=False),
        sa.Column("update_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "barred",
        sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("subject_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    )
