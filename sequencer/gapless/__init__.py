"""Numbers without gaps: each one is used or accounted for."""

from sequencer.gapless.memory import Memory
from sequencer.gapless.progress import SqlProgress
from sequencer.gapless.recent import Recent
from sequencer.gapless.report import DailyReport
from sequencer.gapless.report_store import SqlGaps
from sequencer.gapless.rpc import GaplessRpc
from sequencer.gapless.service import Gapless
from sequencer.gapless.store import SqlNumbers
from sequencer.gapless.watch import Watch

__all__ = [
    "DailyReport",
    "Gapless",
    "GaplessRpc",
    "Memory",
    "Recent",
    "SqlGaps",
    "SqlNumbers",
    "SqlProgress",
    "Watch",
]
