"""Ids of a service come from a sequence, or the caller hears why not."""

from __future__ import annotations

import pytest

from mesh.errors import MeshError
from sequencer.sdk import Lease, LeaseRequest, LocalRangeSource, Sequencer, SequencerUnavailable
from sequencer.sdk.service import Ids, IdsReason

NAME = "shop.order"


class DownSource(LocalRangeSource):
    """A source that cannot be reached."""

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        raise SequencerUnavailable("down")


async def test_ids_follow_one_another() -> None:
    """Each id is taken from the sequence once."""
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        ids = Ids(sequencer.sequence(NAME))
        assert [await ids.next() for _ in range(3)] == [1, 2, 3]


async def test_sequencer_that_is_down_is_named() -> None:
    """Without the sequencer the caller hears that ids cannot be had."""
    with Sequencer(DownSource(), timeout_s=0.05, create_missing=True) as sequencer:
        ids = Ids(sequencer.sequence(NAME))
        with pytest.raises(MeshError) as refused:
            await ids.next()
    assert refused.value.reason is IdsReason.IDS_UNAVAILABLE
