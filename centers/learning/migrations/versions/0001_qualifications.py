"""Qualifications of staff, term by term."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "qualification",
        sa.Column("qualification_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("issue_us", sa.BigInteger, nullable=False),
        sa.Column("expire_us", sa.BigInteger, nullable=False),
        sa.Column("revoke_us", sa.BigInteger),
        sa.Column("revoke_reason", sa.String(64), nullable=False),
        sa.Column("renew_us", sa.BigInteger),
        sa.Column("issuer", sa.String(200), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
    )
    op.create_index("qualification_staff", "qualification", ["staff_id", "issue_us"])
    op.create_index("qualification_held", "qualification", ["staff_id", "code", "expire_us"])
