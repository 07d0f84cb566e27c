"""What can be asked of a sequence: each is planned as the entry that it would append."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from mesh.errors import MeshError
from sequencer import ledger
from sequencer.definition import MAX_POSITION, Definition, Kind, invalid
from sequencer.entry import Action, Entry, Witness
from sequencer.errors import SequencerReason
from sequencer.hand import Draft, Plan
from sequencer.ledger import Wish
from sequencer.log import SequenceLog
from sequencer.witnesses import Witnesses

DAY: Final = timedelta(days=1)


def behind(definition: Definition, at_least: int) -> int:
    """The position behind all ids up to one.

    Raises:
        MeshError: INVALID_ARGUMENT, when no fence can be moved there.
    """
    if definition.cycle or definition.kind not in (Kind.SEGMENT, Kind.STRICT):
        raise invalid("name", "this sequence has no fence to move")
    position = min((at_least - definition.start) // definition.increment + 1, MAX_POSITION)
    if position > definition.capacity:
        raise invalid("at_least", "is beyond the sequence")
    return position


class Plans:
    """Makes plans; what they look up in the log is the only thing that they wait for."""

    def __init__(self, log: SequenceLog, witnesses: Witnesses) -> None:
        self._log = log
        self._witnesses = witnesses

    def grant(self, wish: Wish) -> Plan:
        """Grant a range, behind a jump of the fence when the client's witness asks for one."""

        async def plan(draft: Draft) -> Entry:
            try:
                return await self._granted(draft, wish)
            except MeshError:
                draft.demand_fresh()  # others may have opened, allowed or returned meanwhile
                raise

        return plan

    def take_back(self, holder: str, number: int, mark: int, used: int, *, lost: int = 0) -> Plan:
        """Take back all of a lease but its first `used` ids, the last of which may be lost.

        Raises:
            MeshError: INVALID_ARGUMENT, when more are lost than used.
        """
        if lost > used:
            raise invalid("lost", "is more than was used")

        async def plan(draft: Draft) -> Entry | None:
            uid = draft.definition.uid
            lease = await self._log.entry(uid, number)
            if (
                lease is None
                or (lease.number, lease.tip.mark) != (number, mark)
                or (lease.holder, lease.action) != (holder, Action.GRANTED)
            ):
                raise MeshError(SequencerReason.LEASE_NOT_FOUND)
            if draft.definition.kind is not Kind.SEGMENT or await self._is_back(draft, number):
                return None
            entry = ledger.take_back(draft.tip, lease, used, draft.stamp)
            if entry is not None:
                draft.add(entry)
            if lost:
                draft.add(ledger.lost(draft.tip, lease, used, lost, draft.stamp))
            return entry

        return plan

    def fence(self, at_least: int, holder: str) -> Plan:
        """Jump over all ids up to one."""

        async def plan(draft: Draft) -> Entry | None:
            draft.demand_fresh()
            tip, position = draft.tip, behind(draft.definition, at_least)
            if position <= tip.fence:
                return None
            known = Witness(number=tip.number, mark=tip.mark, epoch=tip.epoch, position=position)
            note = f"operator: at least {at_least}"
            return draft.add(ledger.fenced(tip, [known], draft.stamp, holder=holder, note=note))

        return plan

    def announce(self, note: str, holder: str) -> Plan:
        """Have every server look at the definition before it appends again."""

        async def plan(draft: Draft) -> Entry:
            draft.demand_fresh()
            return draft.add(ledger.changed(draft.tip, holder, note, draft.stamp))

        return plan

    async def _granted(self, draft: Draft, wish: Wish) -> Entry:
        ledger.admit(draft.definition, wish)
        last = wish.last
        if last is not None and await self._witnesses.speaks_of_lost(draft, last):
            if not wish.is_believed:
                raise MeshError(SequencerReason.FENCE_REFUSED)
            await self._witnesses.jump(draft, [last], wish.holder)
        entry = ledger.grant(draft.definition, draft.tip, wish, draft.stamp)
        await self._check_quota(draft, wish.caller, entry.size)
        return draft.add(entry)

    async def _is_back(self, draft: Draft, number: int) -> bool:
        """Whether a lease came back before, or what of it may be lost."""
        if any(entry.source == number for entry in draft.entries):
            return True
        return await self._log.returned(draft.definition.uid, number) is not None

    async def _check_quota(self, draft: Draft, caller: str, size: int) -> None:
        hand = draft.hand
        if not (quota := draft.definition.quota(caller)):
            return
        midnight = draft.stamp.time.replace(hour=0, minute=0, second=0, microsecond=0)
        if hand.day != midnight:
            usage = await self._log.usage(draft.definition.uid, midnight, midnight + DAY)
            hand.taken = {name: one.taken for name, one in usage.items()}
            hand.day = midnight
        planned = sum(entry.taken for entry in draft.entries if entry.caller == caller)
        if hand.taken.get(caller, 0) + planned + size > quota:
            raise MeshError(
                SequencerReason.QUOTA_EXHAUSTED,
                metadata={"caller": caller, "daily_quota": str(quota)},
            )
