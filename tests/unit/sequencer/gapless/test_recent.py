"""How long a server goes by what it knows of a sequence."""

from __future__ import annotations

from mesh.clock import ManualClock
from sequencer.definition import Definition, State
from sequencer.directory import Admit
from sequencer.gapless.recent import KEPT_S, MAX_KEPT, Recent
from tests.unit.sequencer.gapless.desk import NAME, Definitions, definition


def anybody(_: Definition) -> None:
    """Lets everybody make a period."""


class Counted(Definitions):
    """Counts how often it is asked."""

    asked = 0

    async def definition(self, name: str, admit: Admit | None = None) -> Definition:
        """The sequence."""
        self.asked += 1
        return await super().definition(name, admit)


async def test_a_sequence_is_looked_up_once_a_second() -> None:
    """A change is heeded by then, at the latest."""
    source, clock = Counted(definition()), ManualClock()
    recent = Recent(source, clock)

    for _ in range(3):
        assert (await recent.definition(NAME, anybody)).state is State.ACTIVE
        assert (await recent.known(NAME)).state is State.ACTIVE
    assert source.asked == 1
    assert [one.name for one in recent.in_use()] == [NAME]
    source.drain()
    clock.advance(KEPT_S)
    assert (await recent.known(NAME)).state is State.DRAINING
    assert source.asked == 2


async def test_what_is_remembered_has_a_bound() -> None:
    """Beyond it all is forgotten, and looked up again."""
    source = Counted(definition())
    recent = Recent(source, ManualClock())
    for number in range(MAX_KEPT + 1):
        await recent.known(f"{NAME}.n{number}")

    assert source.asked == MAX_KEPT + 1
    await recent.known(f"{NAME}.n0")
    assert source.asked == MAX_KEPT + 2
