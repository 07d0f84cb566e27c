from __future__ import annotations

import numpy as np
import pytest

from bank import Customers, Plan, Rows, parse_scale
from bank.canary import Canaries
from bank.stream import Streams


def canaries(scale: str, seed: int = 1) -> Canaries:
    return Canaries(Plan(scale=parse_scale(scale), seed=seed), Streams(seed))


@pytest.mark.parametrize(
    ("scale", "count"), [("100", 20), ("S", 20), ("50000", 50), ("12345", 20), ("M", 1_000)]
)
def test_there_are_as_many_as_the_scale_asks_for(scale: str, count: int) -> None:
    """One in a thousand, at least twenty, numbered from 1 without gap."""
    found = canaries(scale)
    numbers = found.numbers(Rows(1, parse_scale(scale).customers))
    assert numbers[numbers > 0].tolist() == list(range(1, count + 1))
    assert found.count == count


@pytest.mark.parametrize("size", [1, 7, 999, 5_000])
def test_blocks_agree_with_the_whole(size: int) -> None:
    """Whether somebody is a canary does not depend on the block."""
    found = canaries("12345")
    parts = [
        found.numbers(Rows(first, min(size, 12_345 - first + 1)))
        for first in range(1, 12_346, size)
    ]
    assert np.array_equal(np.concatenate(parts), found.numbers(Rows(1, 12_345)))


def test_they_sit_elsewhere_with_another_seed() -> None:
    """Nobody can tell a canary by its place."""
    one, other = (canaries("M", seed).numbers(Rows(1, 100_000)) > 0 for seed in (1, 2))
    assert np.count_nonzero(one & other) < 5


def test_their_strings_are_no_one_elses() -> None:
    """Name, telephone, identity and customer number come from ranges of their own."""
    plan = Plan(scale=parse_scale("S"), seed=1)
    block = Customers(plan).block(Rows(1, plan.customers))
    marked = block.filter(block["is_canary"]).to_pydict()
    others = block.filter(np.logical_not(block["is_canary"].to_numpy())).to_pydict()
    for column, prefix in (("name", "金丝雀"), ("cif", "9"), ("phone", "19"), ("id_card", "09")):
        assert len(set(marked[column])) == 20
        assert all(value.startswith(prefix) for value in marked[column])
        assert not any(value.startswith(prefix) for value in others[column])
