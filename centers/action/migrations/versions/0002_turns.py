"""When a version of a scene was last launched, paused, resumed or ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    turned = sa.Column("turn_us", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("scene_run", turned)
