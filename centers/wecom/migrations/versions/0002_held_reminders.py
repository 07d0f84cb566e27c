"""Until when a process has a reminder that it took up."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    held = sa.Column("held_us", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("reminder", held)
