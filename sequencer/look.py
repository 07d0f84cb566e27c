"""Looking at a sequence: what it is, and how far its log has come by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mesh.storage import StoreUnavailable
from sequencer.definition import Definition
from sequencer.directory import Admit, Directory, identity, not_found
from sequencer.entry import Tip
from sequencer.log import SequenceLog


@dataclass(frozen=True, slots=True)
class Look:
    """A sequence and its tip. The definition is never older than the tip.

    So who appends behind the tip keeps to all that an entry up to it announced.
    """

    definition: Definition
    tip: Tip


class Looks(Protocol):
    """Looks at sequences.

    Raises:
        MeshError: SEQUENCE_NOT_FOUND; by a name also SEQUENCE_CLOSED, INVALID_ARGUMENT.
    """

    async def named(self, name: str, admit: Admit | None = None) -> Look:
        """The sequence that has or had a name; a period that `admit` lets be made is made."""

    async def again(self, known: Definition) -> Look:
        """A sequence as it is now."""


class Apart:
    """`Looks` at the log first and then at the directory, wherever either is."""

    def __init__(self, directory: Directory, log: SequenceLog) -> None:
        self._directory = directory
        self._log = log

    async def named(self, name: str, admit: Admit | None = None) -> Look:
        tip = await self._log.tip(guess := identity(name))
        definition = await self._directory.definition(name, admit)
        if tip is not None and definition.uid == guess:
            return Look(definition, tip)
        return await self.again(definition)  # it was renamed, or has just been made

    async def again(self, known: Definition) -> Look:
        tip = await self._log.tip(known.uid)
        definition = await self._directory.again(known)
        if definition is None:
            raise not_found(known.name)
        if tip is None:
            raise StoreUnavailable(f"the log of sequence '{known.name}' is missing")
        return Look(definition, tip)
