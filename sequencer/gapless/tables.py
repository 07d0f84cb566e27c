"""The tables of gapless numbers, and runs as their rows hold them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mesh.clock import from_micros
from mesh.storage import Row
from sequencer.gapless.numbers import Fate, Run

_metadata: Final = sa.MetaData()
head_table: Final = sa.Table(
    "gapless_head",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("due_us", sa.BigInteger, nullable=False, comment="0: no lease runs"),
)
run_table: Final = sa.Table(
    "gapless_run",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("fate", sa.SmallInteger, nullable=False),
    sa.Column("holder", sa.String(300), nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("expire_us", sa.BigInteger, nullable=False),
    sa.Column("reservation", sa.BigInteger, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("whole", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(300), nullable=False),
    sa.Index("gapless_run_fate", "fate", "sequence", "position"),
    sa.Index("gapless_run_reservation", "sequence", "reservation"),
)

taken_table: Final = sa.Table(
    "gapless_taken",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("caller", sa.String(200), primary_key=True),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
)
"""What callers with a quota reserved on the last day on which they did."""
report_table: Final = sa.Table(
    "gapless_report",
    _metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reserved", sa.BigInteger, nullable=False),
    sa.Column("expired", sa.BigInteger, nullable=False),
    sa.Column("released", sa.BigInteger, nullable=False),
    sa.Column("void", sa.BigInteger, nullable=False),
    sa.Column("lost_track", sa.BigInteger, nullable=False),
    sa.Column("oldest_us", sa.BigInteger, nullable=False, comment="0: nothing is open"),
    sa.Column("report_us", sa.BigInteger, nullable=False),
)


def as_run(row: Row) -> Run:
    """The run that a row holds."""
    return Run(
        position=row.position,
        size=row.size,
        mark=row.mark,
        fate=Fate(row.fate),
        holder=row.holder,
        since=from_micros(row.since_us),
        expire=from_micros(row.expire_us),
        reservation=row.reservation,
        token=row.token,
        whole=row.whole,
        reason=row.reason,
    )
