"""Sequences by name. The periods of a serial come into being when they are first asked for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.storage import StoreUnavailable
from sequencer import ledger
from sequencer.definition import Definition, State, split
from sequencer.entry import Entry
from sequencer.errors import SequencerReason
from sequencer.ledger import Stamp
from sequencer.sdk.serial import Reset

MARK_BITS: Final = 63
TRIES: Final = 3
SELF: Final = "mesh:sequencer"
"""The sequencer, where it acts for itself."""

Admit = Callable[[Definition], object]
"""Raises MeshError when a serial is not for who asks for a period of it."""


class Catalogue(Protocol):
    """The sequences that there are."""

    async def find(self, name: str) -> Definition | None:
        """The sequence that has or had a name."""

    async def get(self, uid: int) -> Definition | None:
        """The sequence of an identity."""

    async def page(self, *, after: str, limit: int) -> Sequence[Definition]:
        """Sequences in the order of their names, beginning after one."""

    async def children(self, uid: int) -> Sequence[Definition]:
        """The periods of a serial."""

    async def create(self, definition: Definition, first: Entry) -> bool:
        """Add a sequence and the beginning of its log; False when its name is taken.

        By then whoever has it can be found.
        """

    async def change(self, definition: Definition, *, renamed: bool = False) -> bool:
        """Keep a new revision; False when the one before it is not the newest any more."""


class Directory:
    """Finds sequences by name, and makes the periods of serials."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    async def definition(self, name: str, admit: Admit | None = None) -> Definition:
        """The sequence that has or had a name; a period that `admit` lets be made is made.

        Without it this is only looking. It is asked only when a period is to be made.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, SEQUENCE_CLOSED, INVALID_ARGUMENT, and as `admit`.
        """
        if (found := await self._catalogue.find(name)) is not None:
            return found
        parent, period = await self._parent(name)
        uid = _period_identity(parent, period)
        if (found := await self._catalogue.get(uid)) is not None:
            return found  # made under another name of its parent
        if admit is None:
            raise not_found(name)
        admit(parent)
        return await self._period(parent, period)

    async def known(self, name: str) -> Definition:
        """The sequence that has or had a name; looking at one never makes it.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, INVALID_ARGUMENT.
        """
        return await self.definition(name)

    async def again(self, known: Definition) -> Definition | None:
        """The sequence as it is now; None when it is gone."""
        return await self._catalogue.get(known.uid)

    async def add(self, wanted: Definition, holder: str) -> Definition:
        """Add a sequence; answers the one that has its name or identity when there is one."""
        for _ in range(TRIES):  # whoever was first may fail to be committed
            first = ledger.created(wanted, holder, self.stamp())
            if await self._catalogue.create(wanted, first):
                return wanted
            if (found := await self._catalogue.get(wanted.uid)) is not None:
                return found
            if (found := await self._catalogue.find(wanted.name)) is not None:
                return found
        raise StoreUnavailable(f"whether there is a sequence '{wanted.name}' does not come to rest")

    def stamp(self) -> Stamp:
        """The stamp of an append that happens now."""
        return Stamp(mark=secrets.randbits(MARK_BITS), time=self._clock.now())

    async def _parent(self, name: str) -> tuple[Definition, str]:
        """The serial that a name means a period of, and the period."""
        base, period = split(name)
        parent = await self._catalogue.find(base) if period else None
        reset = parent.serial.reset if parent and parent.serial else Reset.NONE
        if parent is None or len(period) != reset.value:
            raise not_found(name)
        return parent, period

    async def _period(self, parent: Definition, period: str) -> Definition:
        if parent.state is not State.ACTIVE:
            raise MeshError(
                SequencerReason.SEQUENCE_CLOSED,
                metadata={"sequence": parent.name, "state": parent.state.name},
            )
        wanted = replace(
            parent,
            uid=_period_identity(parent, period),
            name=f"{parent.name}@{period}",
            parent=parent.uid,
            revision=1,
            create_time=self._clock.now(),
        )
        return await self.add(wanted, f"{SELF}/period")


def identity(name: str) -> int:
    """The identity of a sequence made under a name: 63 bits that follow from it.

    So what journals know of a sequence is found again when its store has lost it.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _period_identity(parent: Definition, period: str) -> int:
    """That of a period, whatever its serial is called."""
    return identity(f"{parent.uid}@{period}")


def not_found(name: str) -> MeshError:
    """The refusal of a name that no sequence has."""
    return MeshError(
        SequencerReason.SEQUENCE_NOT_FOUND,
        f"There is no sequence '{name}'",
        metadata={"sequence": name},
    )
