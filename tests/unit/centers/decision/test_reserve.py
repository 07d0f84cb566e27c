"""Ids taken beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from centers.decision.reserve import MAX_KEPT, Reserve
from mesh.errors import MeshError, MeshReason


class Ids:
    """Counts; refuses while `broken`."""

    def __init__(self) -> None:
        self.broken = False
        self._ids = count(1)

    async def next(self) -> int:
        return next(self._ids)

    async def take(self, number: int) -> Sequence[int]:
        if self.broken:
            raise MeshError(MeshReason.UNAVAILABLE)
        return [next(self._ids) for _ in range(number)]


async def test_what_is_left_is_used_next() -> None:
    """The least id comes first from the end."""
    reserve = Reserve(Ids())
    first = await reserve.take(4)
    assert [first.pop(), first.pop()] == [1, 2]
    reserve.give_back(first)
    assert sorted(await reserve.take(3)) == [3, 4, 5]


async def test_nothing_is_lost_when_no_more_ids_are_to_be_had() -> None:
    """All of them or none."""
    ids = Ids()
    reserve = Reserve(ids)
    reserve.give_back(await reserve.take(2))
    ids.broken = True
    with pytest.raises(MeshError):
        await reserve.take(3)
    assert sorted(await reserve.take(2)) == [1, 2]


async def test_reserve_is_bounded() -> None:
    """Gaps harm nobody."""
    ids = Ids()
    reserve = Reserve(ids)
    reserve.give_back(await ids.take(MAX_KEPT + 5))
    ids.broken = True
    with pytest.raises(MeshError):
        await reserve.take(MAX_KEPT + 1)
    assert len(await reserve.take(MAX_KEPT)) == MAX_KEPT
