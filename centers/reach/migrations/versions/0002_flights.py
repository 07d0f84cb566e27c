"""When an errand was last taken up, so that each process knows what another hands over."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    taken = sa.Column("taken_us", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("errand", taken)
    op.create_index("errand_scene", "errand", ["scene_version", "taken_us"])
