"""All tables of the sequencer's database, for who compares it with its revisions."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from sequencer.gapless.tables import head_table, report_table, run_table, taken_table
from sequencer.snowflake.store import head_table as worker_head_table
from sequencer.snowflake.store import past_table, worker_table
from sequencer.store._tables import definitions, entries, floors, names

_before: Final = sa.MetaData()
sequence_table: Final = sa.Table(
    "sequence",
    _before,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("max_value", sa.BigInteger, nullable=False),
    sa.Column("last_value", sa.BigInteger, nullable=False),
    sa.Column("lease_number", sa.BigInteger, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
)
"""Sequences as they were before they had a log; revision 0002 has read them."""

lease_table: Final = sa.Table(
    "lease",
    _before,
    sa.Column("sequence", sa.String(100), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("client_id", sa.String(300), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("lease_us", sa.BigInteger, nullable=False),
    sa.Index("lease_first", "sequence", "first"),
    sa.Index("lease_state", "sequence", "state", "size", "first"),
)
"""Leases as they were before."""

__all__ = [
    "definitions",
    "entries",
    "floors",
    "head_table",
    "lease_table",
    "names",
    "past_table",
    "report_table",
    "run_table",
    "sequence_table",
    "taken_table",
    "worker_head_table",
    "worker_table",
]
