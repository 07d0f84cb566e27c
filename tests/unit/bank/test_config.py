from __future__ import annotations

import dataclasses

import pytest

from bank import BankError, Config, Plan, parse_scale


@pytest.mark.parametrize(
    ("text", "customers", "factor"),
    [("S", 10_000, 1), ("m", 1_000_000, 1), ("L", 12_000_000, 0.8), ("50000", 50_000, 1)],
)
def test_scale_is_a_name_or_a_number(text: str, customers: int, factor: float) -> None:
    """Names in either case, or any whole number of customers."""
    scale = parse_scale(text)
    assert (scale.customers, scale.aum_factor) == (customers, factor)


@pytest.mark.parametrize("text", ["", "XL", "1.5", "99", "50000001", "-10000"])
def test_other_scales_are_refused_with_what_is_allowed(text: str) -> None:
    """The message repeats what was given and says what is possible."""
    with pytest.raises(BankError, match=r"use S, M, L|must be between 100 and 50,000,000"):
        parse_scale(text)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seed_has_bounds(seed: int) -> None:
    """A seed that is no key of the streams is refused."""
    with pytest.raises(BankError, match="seed"):
        Plan(scale=parse_scale("S"), seed=seed)


def test_shards_hold_somebody() -> None:
    """Files of no customers are refused."""
    with pytest.raises(BankError, match="shard_rows"):
        Plan(scale=parse_scale("S"), seed=1, shard_rows=0)


def test_config_cannot_be_changed() -> None:
    """Parameters are fixed; another set is another object."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().youngest = 16  # type: ignore[misc]
