"""What is asked about numbers, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sequencer.entry import Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What all calls say: the sequence, who asks ("actor/client"), the newest witness he had.

    `is_believed` is whether that may be of what the store does not know.
    """

    name: str
    holder: str
    last: Witness | None = None
    is_believed: bool = False

    @property
    def caller(self) -> str:
        """Who asks, whatever client id he gave."""
        return self.holder.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A reservation with the proof of its holder, and which of its numbers; none for all."""

    reservation: int
    token: int
    numbers: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Numbers of a reservation, as they are after the call."""

    numbers: Sequence[int]
    witness: Witness
    reservation: int = 0
    token: int = 0
    expire: datetime | None = None
