"""Who is held out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from centers.action.holdout import held_out

SALTS = st.text(max_size=64)
CUSTOMERS = st.integers(1, 2**63 - 1)
SHARES = st.integers(0, 10_000)


def test_the_draw_is_the_published_hash() -> None:
    """A fixture or a review that computes the hash by itself finds the same customers."""
    drawn = [customer for customer in range(1, 61) if held_out("golden", customer, 1_000)]
    assert drawn == [23, 39, 40, 41, 42]


@given(SALTS, CUSTOMERS)
def test_no_share_holds_out_nobody_and_the_whole_everybody(salt: str, customer: int) -> None:
    """The ends of the scale are exact."""
    assert not held_out(salt, customer, 0)
    assert held_out(salt, customer, 10_000)


@given(SALTS, CUSTOMERS, SHARES, SHARES)
def test_a_larger_share_keeps_who_was_held_out(salt: str, customer: int, a: int, b: int) -> None:
    """Widening a holdout moves nobody back to the treated side."""
    small, large = sorted((a, b))
    assert held_out(salt, customer, small) <= held_out(salt, customer, large)


def test_a_share_holds_out_about_that_many() -> None:
    """Ten per cent of 20,000 customers, within four standard deviations."""
    drawn = sum(held_out("2026-scene", customer, 1_000) for customer in range(20_000))
    assert abs(drawn - 2_000) < 4 * 43
