"""Allocating: what is asked of a sequence while its last append was under way goes out in one.

The server remembers the tip of each log and appends behind it. When another
server was first, or the store was put back to an older copy, the append fails;
then it looks at the log anew and tries again. So servers need no leader, and
none is ever wrong about what it may grant.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.storage import OutcomeUnknown, StorageError
from mesh.telemetry import Meters
from sequencer.definition import Definition, Kind
from sequencer.directory import Admit, Directory
from sequencer.entry import Action, Entry, Witness
from sequencer.errors import SequencerReason
from sequencer.hand import Ask, Draft, Hand, Plan, Stale
from sequencer.log import SequenceLog, Superseded
from sequencer.look import Apart, Look, Looks
from sequencer.witnesses import Witnesses

MAX_BATCH: Final = 64
"""What is asked of a sequence that one append carries."""

ATTEMPTS: Final = 20
"""How often an append is tried that others are faster than."""

PAUSE_MS: Final = 2
"""Longest pause before the second attempt; it grows by as much with each."""

MAX_HANDS: Final = 50_000
"""Sequences that a server remembers the tips of."""

RANGES: Final = frozenset({Kind.SEGMENT, Kind.STRICT})
"""Kinds of which servers have seen entries; of others they have seen numbers or windows."""

_log: Final = get_logger(__name__)

Planned = tuple[Ask, Entry | None]


class Allocator(AbstractAsyncContextManager["Allocator"]):
    """Appends to the logs of sequences. Leaving it waits for appends under way.

    Every answer is durable, and in this server's journal, before it is given.

    Args:
        directory: finds sequences, and stamps appends.
        log: their logs.
        witnesses: compare them with what is remembered.
        meters: counts ids leased, returned and lost, jumps of the fence, retried appends.
        looks: looks at sequences; without it, at `log` and `directory` one after the other.
        max_hands: sequences that this server remembers the tips of.
    """

    def __init__(
        self,
        directory: Directory,
        log: SequenceLog,
        witnesses: Witnesses,
        meters: Meters,
        *,
        looks: Looks | None = None,
        max_hands: int = MAX_HANDS,
    ) -> None:
        self._max_hands = max_hands
        self._looks = looks or Apart(directory, log)
        self._directory = directory
        self._log = log
        self._witnesses = witnesses
        self._hands: dict[int, Hand] = {}
        self._uids: dict[str, int] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._leased = meters.counter("sequencer.ids_leased")
        self._returned = meters.counter("sequencer.ids_returned")
        self._lost = meters.counter("sequencer.ids_lost")
        self._jumps = meters.counter("sequencer.fence_jumps")
        self._retries = meters.counter("sequencer.append_retries")
        meters.gauge("sequencer.sequences_in_use", lambda: float(len(self._hands)))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._serving:
            await asyncio.wait(self._serving)

    async def append(
        self, name: str, plan: Plan, admit: Admit | None = None
    ) -> tuple[Definition, Entry | None]:
        """Carry a plan out; answers the sequence and the entry, None when none was needed.

        A period of a serial that is not there yet is made only when `admit` lets it.
        A caller who is cancelled may leave an entry that nobody was told of.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, SEQUENCE_CONTENDED, and what plan and `admit` raise.
            StorageError: the store fails.
        """
        hand = await self._hand(name, admit)
        ask = Ask(plan, asyncio.get_running_loop().create_future())
        hand.asks.append(ask)
        if not hand.is_busy:
            hand.is_busy = True
            task = asyncio.create_task(self._serve(hand), name="sequencer-append")
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        return await ask.answer

    def in_use(self) -> Sequence[Definition]:
        """The sequences that this server has in hand."""
        return [hand.definition for hand in self._hands.values()]

    def witness(self, uid: int) -> Witness | None:
        """The entry that this server has seen a sequence come farthest with.

        After its log was put back that is not the tip.
        """
        hand, kept = self._hands.get(uid), self._witnesses.kept(uid)
        known = [*([hand.tip.witness, *hand.lost] if hand else []), *([kept] if kept else [])]
        return max(known, key=lambda one: (one.position, one.age), default=None)

    async def _hand(self, name: str, admit: Admit | None) -> Hand:
        uid = self._uids.get(name)
        if uid is not None and (known := self._hands.get(uid)) is not None:
            return known
        look, seen = await asyncio.gather(
            self._looks.named(name, admit), self._witnesses.of_peers(name)
        )
        hand = await self._taken_up(look, seen if look.definition.kind in RANGES else ())
        self._let_go_of_idle()
        uid = self._uids[name] = hand.definition.uid
        return self._hands.setdefault(uid, hand)

    def _let_go_of_idle(self) -> None:
        if len(self._hands) < self._max_hands:
            return
        idle = [uid for uid, hand in self._hands.items() if not hand.is_busy]
        gone = frozenset(idle[: max(self._max_hands // 10, 1)])
        for uid in gone:
            del self._hands[uid]
        self._witnesses.forget(gone)
        self._uids = {name: uid for name, uid in self._uids.items() if uid in self._hands}

    async def _taken_up(self, look: Look, known: Sequence[Witness]) -> Hand:
        """The sequence as its log stands, with what this server remembers and the log does not."""
        lost = await self._witnesses.lost(look.definition.uid, look.tip, known)
        return Hand(look.definition, look.tip, lost=lost)

    async def _look_again(self, hand: Hand) -> None:
        try:
            look = await self._looks.again(hand.definition)
        except MeshError:
            self._hands.pop(hand.definition.uid, None)
            self._witnesses.forget({hand.definition.uid})
            raise
        now = await self._taken_up(look, [hand.tip.witness, *hand.lost])
        hand.definition, hand.tip, hand.lost = now.definition, now.tip, now.lost
        hand.is_fresh, hand.day = True, None

    async def _serve(self, hand: Hand) -> None:
        """Append until nothing is asked any more."""
        try:
            while hand.asks:
                batch, hand.asks = hand.asks[:MAX_BATCH], hand.asks[MAX_BATCH:]
                try:
                    await self._round(hand, batch)
                except (MeshError, StorageError) as error:
                    _refuse(batch, error)
                except Exception as error:  # noqa: BLE001 - those who wait must be told
                    _log.exception("append_failed", sequence=hand.definition.name)
                    _refuse(batch, error)
        finally:
            hand.is_busy = False

    async def _round(self, hand: Hand, asks: Sequence[Ask]) -> None:
        hand.is_fresh = False
        for attempt in range(ATTEMPTS):
            draft = Draft(hand, self._directory.stamp())
            try:
                planned = await self._planned(draft, asks)
            except Stale:
                await self._look_again(hand)
                continue
            if not draft.entries or await self._is_appended(draft):
                self._settle(draft, planned)
                return
            self._retries.add()
            await asyncio.sleep(secrets.randbelow(attempt * PAUSE_MS + 1) / 1_000)
            await self._look_again(hand)
        raise MeshError(SequencerReason.SEQUENCE_CONTENDED, retry_after_s=1.0)

    async def _planned(self, draft: Draft, asks: Sequence[Ask]) -> list[Planned]:
        if draft.hand.lost:
            await self._witnesses.jump(draft, draft.hand.lost, "this server")
        planned: list[Planned] = []
        for ask in asks:
            if ask.answer.done():
                continue
            try:
                planned.append((ask, await ask.plan(draft)))
            except MeshError as error:
                ask.refuse(error)
        return planned

    async def _is_appended(self, draft: Draft) -> bool:
        """Append the draft; False when others were first."""
        hand = draft.hand
        try:
            await self._log.append(hand.definition.uid, hand.tip, draft.entries)
        except Superseded:
            return False
        except OutcomeUnknown:
            return await self._has_landed(draft)
        return True

    async def _has_landed(self, draft: Draft) -> bool:
        """Whether an append whose answer was lost took place."""
        newest = draft.entries[-1]
        found = await self._log.entry(draft.definition.uid, newest.number)
        return found is not None and found.tip.witness == newest.tip.witness

    def _settle(self, draft: Draft, planned: Sequence[Planned]) -> None:
        hand, uid = draft.hand, draft.definition.uid
        if draft.entries:
            hand.tip, hand.lost = draft.tip, ()
            self._witnesses.keep(uid, hand.tip.witness)
        for entry in draft.entries:
            self._count(hand, entry)
            self._witnesses.remember(uid, entry.tip.witness)
        for ask, done in planned:
            if not ask.answer.done():
                ask.answer.set_result((hand.definition, done))

    def _count(self, hand: Hand, entry: Entry) -> None:
        if hand.day is not None:  # somebody has a quota
            hand.taken[entry.caller] = hand.taken.get(entry.caller, 0) + entry.taken
        match entry.action:
            case Action.GRANTED:
                self._leased.add(entry.size)
            case Action.RETURNED:
                self._returned.add(entry.size)
            case Action.LOST:
                self._lost.add(entry.size)
                _log.warning(
                    "ids_lost",
                    sequence=hand.definition.name,
                    client=entry.holder,
                    ids_at_most=entry.size,
                )
            case Action.FENCED:
                self._jumps.add()
                _log.error(
                    "sequence_fenced",
                    sequence=hand.definition.name,
                    ids_jumped=entry.size,
                    epoch=entry.tip.epoch,
                    note=entry.note,
                )


def _refuse(asks: Sequence[Ask], error: Exception) -> None:
    for ask in asks:
        ask.refuse(error)
