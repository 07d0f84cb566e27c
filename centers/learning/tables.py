"""The learning centre's table; `migrations` makes it.

Times are microseconds since 1970, UTC. Rows are never removed: they are the history.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

qualification: Final = sa.Table(
    "qualification",
    metadata,
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
    sa.Index("qualification_staff", "staff_id", "issue_us"),
    sa.Index("qualification_held", "staff_id", "code", "expire_us"),
)
