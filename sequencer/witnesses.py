"""Who remembers how far a sequence has come, and whether its log still knows.

A log that was put back to an older copy has lost entries. Ids of these were
granted, and would be granted again. What gives it away is a witness of an entry
that is not there: this server's own memory, its journal, a client, another server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from sequencer import ledger
from sequencer.definition import invalid
from sequencer.directory import SELF
from sequencer.entry import Tip, Witness
from sequencer.hand import Draft
from sequencer.log import SequenceLog

MAX_MARKS: Final = 20_000
"""Entries that a server remembers to have seen, so as not to look for them again."""

MAX_NUMBER: Final = 2**62


class Journal(Protocol):
    """What this server has seen, kept on its own disk."""

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one is known."""

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence."""


class Peers(Protocol):
    """The other servers of the sequencer."""

    async def witnesses(self, name: str, *, patient: bool = True) -> Sequence[Witness]:
        """What those that can be reached have seen of a sequence.

        Who is not `patient` asks other processes alone, and none that has just been silent.
        """


class Witnesses:
    """Compares witnesses with logs, and plans the jump over what a log has lost."""

    def __init__(self, log: SequenceLog, journal: Journal, peers: Peers) -> None:
        self._log = log
        self._journal = journal
        self._peers = peers
        self._seen: dict[tuple[int, int], int] = {}

    def remember(self, uid: int, witness: Witness) -> None:
        """Take note of an entry that is in the log."""
        if len(self._seen) >= MAX_MARKS:
            for key in list(self._seen)[: MAX_MARKS // 10]:
                del self._seen[key]
        self._seen[uid, witness.number] = witness.mark

    def keep(self, uid: int, witness: Witness) -> None:
        """Write the newest entry down on this server's own disk."""
        self._journal.note(uid, witness)

    def kept(self, uid: int) -> Witness | None:
        """The newest entry that was written down."""
        return self._journal.read(uid)

    async def of_peers(self, name: str) -> Sequence[Witness]:
        """What the other servers have seen, for one that takes a sequence up."""
        return await self._peers.witnesses(name, patient=False)

    def forget(self, uids: Collection[int]) -> None:
        """Look for entries of these sequences again: nobody watches over their logs."""
        self._seen = {key: mark for key, mark in self._seen.items() if key[0] not in uids}

    async def lost(self, uid: int, tip: Tip, known: Sequence[Witness]) -> tuple[Witness, ...]:
        """Of what is known and what the journal has, the witnesses that a log does not bear out."""
        own = {*known, self._journal.read(uid)}
        doubted = [one for one in own if one is not None and one != tip.witness]
        found = tuple([one for one in doubted if await self._is_lost(uid, tip, one)])
        if found:
            self.forget({uid})
        return found

    async def speaks_of_lost(self, draft: Draft, witness: Witness) -> bool:
        """Whether a client's witness shows that the log lost entries.

        Raises:
            Stale: look at the log first.
            MeshError: INVALID_ARGUMENT, when no sequence can have come that far.
        """
        uid, tip = draft.definition.uid, draft.hand.tip
        if max(witness.number, witness.epoch) > MAX_NUMBER:
            raise invalid("last", "is not a witness of this sequence")
        if witness.position > draft.definition.capacity:
            raise invalid("last.position", "is beyond the sequence")
        if witness.number > tip.number or witness.epoch > tip.epoch:
            draft.demand_fresh()
        elif witness == tip.witness or self._seen.get((uid, witness.number)) == witness.mark:
            return False  # it is, or lies before, a tip that the append makes sure of
        return await self._is_lost(uid, draft.tip, witness)

    async def jump(self, draft: Draft, lost: Sequence[Witness], who: str) -> None:
        """Plan a jump over all that anybody knows of; the other servers are asked as well."""
        definition = draft.definition
        known = [*lost, *await self._peers.witnesses(definition.name)]
        if (own := self._journal.read(definition.uid)) is not None:
            known.append(own)
        newest = max(lost, key=lambda witness: witness.age)
        possible = [witness for witness in known if witness.position <= definition.capacity]
        draft.add(
            ledger.fenced(
                draft.tip,
                possible,
                draft.stamp,
                holder=f"{SELF}/fence",
                note=f"witness {who}: entry {newest.number} of epoch {newest.epoch}",
            )
        )

    async def _is_lost(self, uid: int, tip: Tip, witness: Witness) -> bool:
        """Whether a log does not have an entry, and no jump has made up for it."""
        found = await self._log.entry(uid, witness.number)
        if found is not None and found.number > witness.number:
            return witness.position > tip.position  # so old that the log forgot it in time
        if found is not None and found.tip.mark == witness.mark:
            self.remember(uid, witness)
            return False
        return not ledger.is_covered(tip, witness)
