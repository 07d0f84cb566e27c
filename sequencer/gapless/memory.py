"""What servers remember of each sequence: their own witnesses that a store was put back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from sequencer.entry import Witness


class Journal(Protocol):
    """What the servers of this host have seen, on its own disk."""

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one is known."""

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence."""


class Peers(Protocol):
    """The other servers of the sequencer."""

    async def witnesses(self, name: str) -> Sequence[Witness]:
        """What those that can be reached have seen of a sequence."""


class Memory:
    """The newest change of each sequence that a server of this host has made.

    Args:
        journal: outlives the process. It is shared with the logs of sequences, which
            have witnesses of their own.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def newest(self, uid: int) -> Witness | None:
        """The newest witness of a sequence, before which its store cannot stand."""
        return self._journal.read(_key(uid))

    def note(self, uid: int, witness: Witness) -> None:
        """Remember a durable change; to be called before anybody is told of it."""
        self._journal.note(_key(uid), witness)


def _key(uid: int) -> int:
    """Under what a sequence's numbers stand in the journal: not what its log stands under."""
    digest = hashlib.blake2b(b"gapless%d" % uid, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
