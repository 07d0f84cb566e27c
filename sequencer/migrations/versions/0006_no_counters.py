"""Counters go: who allocates by them would grant ids that the logs grant as well."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

contracts = True


def upgrade() -> None:
    op.drop_table("lease")
    op.drop_table("sequence")
