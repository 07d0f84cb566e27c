"""Serials by the server: which formats it keeps, and what it makes of a bad one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from mesh.clock import ManualClock
from mesh.errors import MeshError
from sequencer.definition import MAX_ID, Definition, Kind, Serial
from sequencer.entry import Entry
from sequencer.ledger import Wish
from sequencer.serials import MAX_FORMATS, SerialReason, Serials

NOW = datetime(2026, 11, 26, 4, tzinfo=UTC)


class World:
    """Knows a sequence of every name, with the template that is set, and grants nothing."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.granted: list[str] = []

    async def known(self, name: str) -> Definition:
        return Definition(
            uid=1,
            name=name,
            kind=Kind.SEGMENT,
            start=1,
            min_value=1,
            max_value=MAX_ID,
            increment=1,
            cycle=False,
            create_time=NOW,
            retention_days=400,
            serial=Serial(template=self.template),
        )

    async def stream(
        self, name: str, wish: Wish, count: int
    ) -> AsyncIterator[tuple[Definition, Entry]]:
        self.granted.append(name)
        for _ in range(0):
            yield await self.known(name), None  # type: ignore[misc]


async def test_formats_take_bounded_memory() -> None:
    """Ten thousand sequences may have as many."""
    world = World("")
    serials = Serials(world, world, ManualClock(NOW))

    for number in range(MAX_FORMATS + 10):
        world.template = f"A{number}-{{number}}"
        found = await serials.read("shop.order", f"A{number}-7")
        assert found is not None
        assert found[0].number == 7
        assert len(serials._formats) <= MAX_FORMATS


async def test_a_kept_template_that_is_no_good_any_more_is_told() -> None:
    """A zone may be gone, or a rule be new, since its sequence was made."""
    world = World("{number}{number}")
    serials = Serials(world, world, ManualClock(NOW))

    with pytest.raises(MeshError) as caught:
        await serials.read("shop.order", "1")

    assert caught.value.reason is SerialReason.SERIAL_FORMAT_MISSING
    assert caught.value.metadata == {"why": "a template has one number, not 2"}


@pytest.mark.parametrize("template", ["{date:%Y}{number:04}", "{hidden:08}"])
async def test_no_number_is_taken_for_a_serial_that_cannot_be_written(template: str) -> None:
    """Without a date, or without the key."""
    world = World(template)

    with pytest.raises(MeshError):
        await Serials(world, world, ManualClock(NOW)).take("shop.order", 1, None, "ops/serials")

    assert world.granted == []
