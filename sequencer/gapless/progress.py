"""How far the numbers of a sequence have come, and how fast."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from mesh.storage import Store
from sequencer.entry import Tip
from sequencer.gapless.report_store import SqlGaps
from sequencer.gapless.tables import head_table
from sequencer.pace import DAY, HOUR, WEEK

_HEAD: Final = sa.select(head_table).where(head_table.c.sequence == sa.bindparam("of"))


class SqlProgress:
    """Tells where GAPLESS sequences stand, which their logs do not say."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gaps = SqlGaps(store)

    async def tip(self, sequence: int) -> Tip:
        """Where a sequence stands: behind the last number that was ever issued."""
        rows = await self._store.fetch_all(_HEAD, {"of": sequence})
        if not rows:
            return Tip(number=0, mark=0, epoch=0, position=0)
        (head,) = rows
        return Tip(
            number=head.number,
            mark=head.mark,
            epoch=head.epoch,
            position=head.position,
            fence=head.fence,
        )

    async def daily_pace(
        self, sequence: int, tip: Tip, *, now: datetime, create_time: datetime
    ) -> float:
        """Numbers a day that were issued for the first time within the last week.

        As for logs, those that a fence jumped over do not count. It goes by when
        leases end, so that numbers reserved before that with a long lease do.
        """
        begin = max(now - WEEK, create_time)
        position = max(await self._position_at(sequence, tip, begin), tip.fence)
        return (tip.position - position) / (max(now - begin, HOUR) / DAY)

    async def _position_at(self, sequence: int, tip: Tip, moment: datetime) -> int:
        """Where the first run is whose lease ended after a moment: a few reads of one row."""
        low, high = 0, tip.position
        while low < high:
            middle = (low + high) // 2
            found = await self._gaps.at(sequence, middle)
            if not found:  # the store was put back meanwhile
                high = middle
            elif found[0].expire >= moment:
                high = found[0].position
            else:
                low = found[0].stop
        return low
