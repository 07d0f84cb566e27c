"""What this server remembers of each sequence: its own witness that a store was put back."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from sequencer.entry import Witness

MAX_REMEMBERED: Final = 50_000
"""Sequences that a server remembers; of more, the journal alone does."""


class Journal(Protocol):
    """What this server has seen, kept on its own disk."""

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one is known."""

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence."""


class Memory:
    """The newest witness of each sequence that this server has made, and its journal's.

    Args:
        journal: outlives the process. It is shared with the logs of sequences, which
            have witnesses of their own.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: dict[int, Witness] = {}

    def newest(self, uid: int) -> Witness | None:
        """The newest witness of a sequence, before which its store cannot stand."""
        if uid not in self._known:
            written = self._journal.read(journal_key(uid))
            if written is None:
                return None
            self._remember(uid, written)
        return self._known[uid]

    def note(self, uid: int, witness: Witness) -> None:
        """Remember a durable change; to be called before anybody is told of it."""
        known = self.newest(uid)
        if known is None or witness.age > known.age:
            self._remember(uid, witness)
            self._journal.note(journal_key(uid), witness)

    def _remember(self, uid: int, witness: Witness) -> None:
        if uid not in self._known and len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[uid] = witness


def journal_key(uid: int) -> int:
    """Under what a sequence's numbers stand in the journal: not what its log stands under."""
    digest = hashlib.blake2b(b"gapless%d" % uid, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
