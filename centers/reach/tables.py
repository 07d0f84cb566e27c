"""The reach centre's tables; `migrations` makes them.

Times are microseconds since 1970, UTC. A contact and its receipt are one row: none
is without the other. The contacts of a customer are read along one index, for the
caps as for the list. `errand` holds what is still to be done about a contact, and
so stays small: it is the queue; `taken_us` is when one was last taken up, by
whichever process.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

contact: Final = sa.Table(
    "contact",
    metadata,
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
    sa.Index("contact_customer", "customer_id", "create_us"),
    sa.Index("contact_task", "task_id"),
)

errand: Final = sa.Table(
    "errand",
    metadata,
    sa.Column("contact_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("action", sa.SmallInteger, nullable=False),
    sa.Column("due_us", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("product_ids", sa.Text, nullable=False),
    sa.Column("into", sa.SmallInteger, nullable=False),
    sa.Column("result_code", sa.String(64), nullable=False),
    sa.Column("taken_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("errand_due", "due_us"),
    sa.Index("errand_scene", "scene_version", "taken_us"),
)

preference: Final = sa.Table(
    "preference",
    metadata,
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

scene_hold: Final = sa.Table(
    "scene_hold",
    metadata,
    sa.Column("scene_version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("held", sa.Boolean, nullable=False),
    sa.Column("told_us", sa.BigInteger, nullable=False),
)
"""Versions of scenes that were ever told of; `told_us` is when that was decided."""

task: Final = sa.Table(
    "task",
    metadata,
    sa.Column("task_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("scene_version", sa.BigInteger, nullable=False),
    sa.Column("trigger_id", sa.BigInteger, nullable=False),
    sa.Column("opportunity_id", sa.BigInteger, nullable=False),
    sa.Column("update_us", sa.BigInteger, nullable=False),
)
"""Tasks as the action centre told of them."""

barred: Final = sa.Table(
    "barred",
    metadata,
    sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("subject_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)
"""Recalled materials and suspended products; `version` is 0: all of them."""
