"""Materials, uploads and documents."""

import sqlalchemy as sa
from alembic import op

from mesh import definitions

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_DATA = sa.LargeBinary(2 << 20)


def upgrade() -> None:
    definitions.create_table(op)
    op.create_table(
        "material",
        sa.Column("material_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("material_type", sa.SmallInteger, nullable=False),
        sa.Column("recalled", sa.Boolean, nullable=False),
        sa.Column("recall_reason", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("version_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "upload_part",
        sa.Column("version_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("first", _ID, primary_key=True, autoincrement=False),
        sa.Column("stop", sa.BigInteger, nullable=False),
        sa.Column("data", _DATA, nullable=False),
    )
    op.create_table(
        "document_piece",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data", _DATA, nullable=False),
    )
    op.create_table(
        "document_page",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("page", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ranges", sa.LargeBinary(1 << 20), nullable=False),
    )
