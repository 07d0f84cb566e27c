"""What a database remembers of its revisions.

`alembic_version` says which it is at, as everywhere. `engine_migration` says of each
what a program must know that does not have it: its parent, and whether it contracts.
It also counts the statements of one under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData()

revisions: Final = sa.Table(
    "engine_migration",
    metadata,
    sa.Column("revision", sa.String(64), primary_key=True),
    sa.Column("parent", sa.String(64), nullable=False, comment="empty: the first"),
    sa.Column("contracts", sa.Boolean, nullable=False),
    sa.Column("begun", sa.Integer, nullable=False, comment="statements that were sent"),
    sa.Column("done", sa.Integer, nullable=False, comment="statements known to have taken effect"),
    sa.Column("finished", sa.Boolean, nullable=False),
)

_version: Final = sa.Table(
    "alembic_version",
    metadata,
    sa.Column("version_num", sa.String(32), primary_key=True),
)
"""As Alembic makes it, but for the name of the key, which MySQL warns of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A revision as the database knows it; `finished` is False of one that was cut off."""

    revision: str
    parent: str
    contracts: bool
    begun: int = 0
    done: int = 0
    finished: bool = False


def current(connection: sa.Connection) -> str | None:
    """The revision that the database is at."""
    if not sa.inspect(connection).has_table(_version.name):
        return None
    found: str | None = connection.scalar(sa.select(_version.c.version_num))
    return found


def applied(connection: sa.Connection) -> dict[str, Applied]:
    """What the database knows of revisions, by name."""
    if not sa.inspect(connection).has_table(revisions.name):
        return {}
    rows = connection.execute(sa.select(revisions))
    return {row.revision: Applied(**row._mapping) for row in rows}  # noqa: SLF001 - its only mapping


def begin(connection: sa.Connection, revision: Applied) -> Applied:
    """Remember a revision; what is known of it already, when it was begun before."""
    found = applied(connection).get(revision.revision)
    if found is None:
        connection.execute(
            sa.insert(revisions),
            {name: getattr(revision, name) for name in revisions.columns.keys()},  # noqa: SIM118
        )
    return found or revision


def finish(connection: sa.Connection, revision: str) -> None:
    """Remember that all of a revision has taken effect."""
    connection.execute(
        sa.update(revisions).where(revisions.c.revision == revision).values(finished=True)
    )
