"""Opportunities that wait for their end, and triggers taken back before they were heard of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
changes_data = "released so; the new column follows from others of its row"

_TASKED = 3


def upgrade() -> None:
    op.add_column("opportunity", sa.Column("open_expire_us", sa.BigInteger))
    waiting = sa.table("opportunity", sa.column("state"), sa.column("open_expire_us"))
    op.execute(
        sa.update(waiting)
        .where(waiting.c.state == _TASKED)
        .values(open_expire_us=sa.literal_column("expire_us"))
    )
    op.create_index("opportunity_expiry", "opportunity", ["open_expire_us"])
    op.create_table(
        "reversed_trigger",
        sa.Column(
            "trigger_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
    )
