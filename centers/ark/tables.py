"""The Ark's tables; `migrations` makes them. Times are microseconds since 1970, UTC."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

customer: Final = sa.Table(
    "customer",
    metadata,
    sa.Column("customer_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("cif", sa.String(20), nullable=False),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("phone", sa.String(20), nullable=False),
    sa.Column("id_card", sa.String(20), nullable=False),
    sa.Column("aum_fen", sa.BigInteger, nullable=False),
    sa.Column("import_us", sa.BigInteger, nullable=False),
    sa.Index("customer_cif", "cif", unique=True),
    sa.Index("customer_import", "import_us"),
)

access_log: Final = sa.Table(
    "access_log",
    metadata,
    sa.Column("position", _ID, primary_key=True, autoincrement=False),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("service", sa.String(100), nullable=False),
    sa.Column("purpose", sa.String(100), nullable=False),
    sa.Column("customers", sa.Integer, nullable=False),
    sa.Column("fields", sa.String(200), nullable=False),
    sa.Column("trace_id", sa.String(32), nullable=False),
    sa.Column("seal", sa.String(64), nullable=False),
)
