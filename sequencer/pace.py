"""How fast a sequence is used up, by a few looks at its log however long that is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sequencer.entry import Action, Entry, Tip
from sequencer.log import SequenceLog

WEEK: Final = timedelta(days=7)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


async def daily_pace(
    log: SequenceLog, uid: int, tip: Tip, *, now: datetime, create_time: datetime
) -> float:
    """Positions a day that were granted within the last week.

    From a jump of the fence on, when there was one: what it jumped over nobody took.
    """
    begin = max(now - WEEK, create_time)
    position = max(await _position_at(log, uid, tip, begin), tip.fence)
    return (tip.position - position) / (max(now - begin, HOUR) / DAY)


async def _position_at(log: SequenceLog, uid: int, tip: Tip, moment: datetime) -> int:
    """Where the next new range began at a moment, as far back as entries are kept."""
    low, high = 1, tip.number + 1
    while low < high:
        middle = (low + high) // 2
        entry = await log.entry(uid, middle)
        if entry is None or entry.time >= moment:
            high = middle
        else:
            low = entry.number + 1
    first = await log.entry(uid, low)
    return _position_before(first) if first is not None else tip.position


def _position_before(entry: Entry) -> int:
    is_new = entry.action is Action.GRANTED and not entry.source
    return entry.position if is_new else entry.tip.position
