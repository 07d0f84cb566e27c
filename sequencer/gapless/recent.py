"""Sequences as they were a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mesh.clock import Clock
from sequencer.definition import Definition
from sequencer.directory import Admit
from sequencer.gapless.service import Definitions

KEPT_S: Final = 1.0
"""How long a server may go on by a definition that has been changed."""

MAX_KEPT: Final = 10_000


class Recent:
    """`Definitions` that are looked up once a second: else each call would pay for a read."""

    def __init__(self, definitions: Definitions, clock: Clock) -> None:
        self._definitions = definitions
        self._clock = clock
        self._found: dict[str, tuple[float, Definition]] = {}

    async def definition(self, name: str, admit: Admit) -> Definition:
        """The sequence of a name; a period that `admit` lets be made is made."""
        return self._kept(name) or self._keep(name, await self._definitions.definition(name, admit))

    async def known(self, name: str) -> Definition:
        """The sequence of a name; looking at one never makes it."""
        return self._kept(name) or self._keep(name, await self._definitions.known(name))

    def in_use(self) -> Sequence[Definition]:
        """The sequences that this server was asked for of late."""
        return [found for _, found in self._found.values()]

    def _kept(self, name: str) -> Definition | None:
        until, found = self._found.get(name, (0.0, None))
        return found if self._clock.monotonic() < until else None

    def _keep(self, name: str, found: Definition) -> Definition:
        if len(self._found) >= MAX_KEPT:
            self._found.clear()
        self._found[name] = self._clock.monotonic() + KEPT_S, found
        return found
