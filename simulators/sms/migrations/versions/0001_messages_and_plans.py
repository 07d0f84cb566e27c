"""Messages, what becomes of them, and the reports owed."""

import sqlalchemy as sa
from alembic import op

from simulators.reports import create_table

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "message_plan",
        sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("result_code", sa.String(64), nullable=False),
    )
    op.create_table(
        "message",
        sa.Column("position", _ID, primary_key=True),
        sa.Column("contact_id", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("accept_us", sa.BigInteger, nullable=False),
    )
    op.create_index("message_contact", "message", ["contact_id"], unique=True)
    op.create_index("message_customer", "message", ["customer_id"])
    create_table(op)
