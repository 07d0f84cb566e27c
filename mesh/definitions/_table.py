"""The table of definitions, one in each service that has any; a row is a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

NAME: Final = "engine_definition"

metadata: Final = sa.MetaData()


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("definition_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("checker", sa.String(200), nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("publish_us", sa.BigInteger),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    ]


definition: Final = sa.Table(
    NAME,
    metadata,
    *_columns(),
    sa.Index("engine_definition_version_id", "version_id", unique=True),
)
"""Times are microseconds since 1970, UTC; `state` has the numbers of `State`."""


def create_table(op: Operations | Any) -> None:
    """Make the table; to be called by the revision of a centre that begins to hold definitions.

    Revisions are kept for ever: a later change of the table comes as a function of its own.

    Args:
        op: `alembic.op`.
    """
    op.create_table(NAME, *_columns())
    op.create_index("engine_definition_version_id", NAME, ["version_id"], unique=True)
