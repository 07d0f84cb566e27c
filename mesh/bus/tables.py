"""The bus's tables; `migrations` makes them.

Times are microseconds since 1970, UTC. The log is read along the index of its
topics; every database keeps the primary key at the end of each index by itself.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata: Final = sa.MetaData()

event: Final = sa.Table(
    "bus_event",
    metadata,
    sa.Column("position", _ID, primary_key=True),
    sa.Column("topic", sa.String(64), nullable=False),
    sa.Column("event", sa.LargeBinary, nullable=False),
    sa.Column("append_us", sa.BigInteger, nullable=False),
    sa.Index("bus_event_topic", "topic"),
    sqlite_autoincrement=True,  # offsets outlive the events: no place is used again
    info={"ordered": "one writer at a time"},
)

group: Final = sa.Table(
    "bus_group",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("topic", sa.String(64), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

dead_letter: Final = sa.Table(
    "bus_dead_letter",
    metadata,
    sa.Column("dead_letter_id", _ID, primary_key=True),
    sa.Column("group_name", sa.String(128), nullable=False),
    sa.Column("topic", sa.String(64), nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("event", sa.LargeBinary, nullable=False),  # the log forgets it earlier
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.String(200), nullable=False),
    sa.Column("bury_us", sa.BigInteger, nullable=False),
    sa.Column("replaying", sa.Boolean, nullable=False),
    sa.Index("bus_dead_letter_event", "group_name", "topic", "position", unique=True),
    sqlite_autoincrement=True,
    info={"ordered": "one writer at a time"},
)
