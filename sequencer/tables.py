"""All tables of the sequencer's database, for who compares it with its revisions."""

from __future__ import annotations

from sequencer.gapless.tables import head_table, report_table, run_table, taken_table
from sequencer.snowflake.store import head_table as worker_head_table
from sequencer.snowflake.store import past_table, worker_table
from sequencer.store._tables import definitions, entries, floors, names

__all__ = [
    "definitions",
    "entries",
    "floors",
    "head_table",
    "names",
    "past_table",
    "report_table",
    "run_table",
    "taken_table",
    "worker_head_table",
    "worker_table",
]
