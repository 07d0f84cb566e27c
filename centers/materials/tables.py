"""The materials centre's tables; `migrations` makes them.

Versions and what they say lie in the table of `mesh.definitions`. Documents lie
under the hash of their bytes: they never change, and keeping one again changes
nothing.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_DATA: Final = sa.LargeBinary(2 << 20)

metadata: Final = sa.MetaData()

material: Final = sa.Table(
    "material",
    metadata,
    sa.Column("material_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("material_type", sa.SmallInteger, nullable=False),
    sa.Column("recalled", sa.Boolean, nullable=False),
    sa.Column("recall_reason", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, comment="in use; 0 when none is"),
    sa.Column("version_id", sa.BigInteger, nullable=False, comment="in use; 0 when none is"),
)
"""Which version of a material may be used, if any."""

upload_part: Final = sa.Table(
    "upload_part",
    metadata,
    sa.Column("version_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("first", _ID, primary_key=True, autoincrement=False),
    sa.Column("stop", sa.BigInteger, nullable=False),
    sa.Column("data", _DATA, nullable=False),
)
"""Bytes `first` to before `stop` of a draft's document, as uploaded; gone once it is submitted."""

document_piece: Final = sa.Table(
    "document_piece",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", _DATA, nullable=False),
)
"""A document in pieces of 256 KiB, from number 0."""

document_page: Final = sa.Table(
    "document_page",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("page", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ranges", sa.LargeBinary(1 << 20), nullable=False, comment="PageRanges"),
)
"""Where the pages lie, from 1; page 0 is the head."""
