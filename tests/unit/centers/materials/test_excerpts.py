"""Excerpts: made once, kept within bounds."""

from __future__ import annotations

import asyncio

import pytest

from centers.materials.cutting import merged
from centers.materials.excerpts import Excerpts, Wanted


class Cutter:
    """Makes excerpts of ten bytes when it is let, and counts them."""

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self.may_cut = asyncio.Event()
        self.may_cut.set()

    async def cut(self, wanted: Wanted) -> bytes:
        self.cuts.append(wanted.first)
        await self.may_cut.wait()
        return bytes([wanted.first]) * 10


def pages(first: int) -> Wanted:
    return Wanted(sha256="", size_bytes=100, first=first, last=first)


async def test_many_who_ask_at_once_cost_one_excerpt() -> None:
    """A popular page must not start a child for each of its readers."""
    cutter = Cutter()
    excerpts = Excerpts(cutter)
    found = await asyncio.gather(*(excerpts.get(pages(7)) for _ in range(500)))
    assert {excerpt.content for excerpt in found} == {b"\x07" * 10}
    assert cutter.cuts == [7]


async def test_what_was_read_least_lately_goes_first() -> None:
    """Two of ten bytes fit."""
    cutter = Cutter()
    excerpts = Excerpts(cutter, kept_bytes=20)
    for first in (1, 2, 1, 3, 1, 2):
        await excerpts.get(pages(first))
    assert cutter.cuts == [1, 2, 3, 2]


async def test_who_waits_goes_on_when_the_maker_is_cancelled() -> None:
    """A reader who leaves takes nothing from the others."""
    cutter = Cutter()
    cutter.may_cut.clear()
    excerpts = Excerpts(cutter)
    maker = asyncio.create_task(excerpts.get(pages(1)))
    waiting = asyncio.create_task(excerpts.get(pages(1)))
    while not cutter.cuts:  # noqa: ASYNC110 - nobody else needs to be told
        await asyncio.sleep(0)
    maker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await maker
    cutter.may_cut.set()
    assert (await waiting).content == b"\x01" * 10


def test_spans_that_meet_become_one() -> None:
    """In rising order, whatever order they came in."""
    assert merged([(50, 59), (0, 9), (10, 19), (15, 17)]) == [(0, 19), (50, 59)]
