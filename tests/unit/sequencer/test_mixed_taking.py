"""Ids taken one by one and in blocks, as it comes, rise over refills and piece ends."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from sequencer.sdk import LocalRangeSource, Sequencer

IDS = 2_000_000


@pytest.mark.parametrize("seed", range(3))
def test_ids_rise_however_they_are_taken(seed: int) -> None:
    """A burst of single ids and a block follow one another in any order."""
    chance = random.Random(seed)
    with Sequencer(LocalRangeSource(), create_missing=True, survive_s=0.5) as sequencer:
        sequence = sequencer.sequence("shop.order")
        last = taken = 0
        while taken < IDS:
            count = chance.randint(1, 4_000)
            if chance.random() < 1 / 2:
                found = [id_ for ids in sequence.next_ids(count) for id_ in ids]
            else:
                found = list(islice(iter(sequence.next_id, None), count))
            assert found == sorted(found)
            assert found[0] > last
            last = found[-1]
            taken += count
