"""The types that users of the SDK rely on, checked by mypy; wrong code is rejected."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, assert_type

import pytest

from sequencer.sdk import (
    Lease,
    LocalRangeSource,
    RangeSource,
    Sequence,
    Sequencer,
    SequenceStats,
    StrictSequence,
)


async def test_ids_are_integers_and_blocks_are_ranges() -> None:
    """As types and as values."""
    source: RangeSource = LocalRangeSource()
    async with Sequencer(source, create_missing=True) as sequencer:
        ids = assert_type(sequencer.sequence("test.ids"), Sequence)
        strict = assert_type(sequencer.strict("test.strict"), StrictSequence)
        awaitable = assert_type(ids.next_id_async(), Coroutine[Any, Any, int])

        assert assert_type(await awaitable, int) == 1
        assert assert_type(ids.next_id(), int) == 2
        assert assert_type(ids.next_ids(3), list[range]) == [range(3, 6)]
        assert assert_type(await ids.next_ids_async(3), list[range]) == [range(6, 9)]
        assert assert_type(await strict.next_id_async(), int) == 1
        assert assert_type(await strict.next_ids_async(2), list[range]) == [range(2, 4)]
        assert assert_type(ids.stats(), SequenceStats).leases == 1
        task = asyncio.create_task(ids.next_id_async())
        assert assert_type(await task, int) == 9


def test_wrong_uses_are_rejected() -> None:
    """Each of them is an error for mypy, which would tell of an ignore that is not needed."""
    lease = Lease(number=1, position=3, first=1, size=3)
    with pytest.raises(AttributeError):
        lease.size = 4  # type: ignore[misc]
    with pytest.raises(TypeError):
        Sequencer(LocalRangeSource(), 60.0)  # type: ignore[call-arg]
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        with pytest.raises(TypeError):
            sequencer.sequence("test.ids").next_ids("3")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            sequencer.sequence("test.ids").next_id(1)  # type: ignore[call-arg]
