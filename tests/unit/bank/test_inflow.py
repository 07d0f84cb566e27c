"""The cast of the large-inflow scenario adds up to its table."""

from __future__ import annotations

import hashlib

import pytest

from bank.errors import BankError
from bank.inflow import ABSOLUTE_FEN, EXPECTED, OWN_MULTIPLE, UNIQUE, Cast, cast

TOKENS = [7_919 * number + 13 for number in range(10_000)]


def held_out(salt: str, token: int) -> bool:
    digest = hashlib.blake2b(f"{salt}:{token}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 10_000 < 1_000


@pytest.fixture(scope="module")
def parts() -> Cast:
    return cast(TOKENS, held_out, seed=1)


def test_the_same_seed_casts_the_same(parts: Cast) -> None:
    """Equal arguments give equal casts, whatever order the tokens come in."""
    assert cast(TOKENS[::-1], held_out, seed=1) == parts


def test_every_unique_inflow_has_a_customer_of_its_own(parts: Cast) -> None:
    """Nobody has two inflows, so that cooldown plays no part."""
    assert len({inflow.customer_id for inflow in parts.inflows}) == UNIQUE
    assert len(parts.repeated) == EXPECTED["injected"] - EXPECTED["unique"]


def test_as_many_inflows_are_above_both_thresholds_as_the_table_says(parts: Cast) -> None:
    """The personal threshold decides about some that the absolute one lets through."""
    above = [
        inflow
        for inflow in parts.inflows
        if inflow.amount_fen
        >= max(ABSOLUTE_FEN, OWN_MULTIPLE * max(parts.history[inflow.customer_id]))
    ]
    absolute = [inflow for inflow in parts.inflows if inflow.amount_fen >= ABSOLUTE_FEN]
    assert len(above) == EXPECTED["above_threshold"]
    assert len(absolute) > len(above) + 500


def test_opportunities_split_into_the_arms_of_the_table(parts: Cast) -> None:
    """The salt holds out exactly the planned number."""
    counted = [
        inflow.customer_id
        for inflow in parts.inflows
        if inflow.amount_fen
        >= max(ABSOLUTE_FEN, OWN_MULTIPLE * max(parts.history[inflow.customer_id]))
        and inflow.money_class in {"SALARY", "OWN_OTHER_BANK", "THIRD_PARTY"}
        and inflow.customer_id not in parts.reversed_before
    ]
    assert len(counted) == EXPECTED["opportunities"]
    assert sum(held_out(parts.salt, token) for token in counted) == EXPECTED["held_out"]


def test_whoever_is_attempted_is_attempted_once(parts: Cast) -> None:
    """The four ways share no customer, and none of them was taken back before."""
    attempted = [*parts.wecom, *parts.calls, *parts.deferred, *parts.denied]
    assert len(set(attempted)) == len(attempted) == EXPECTED["receipts"]
    assert not set(attempted) & set(parts.reversed_after)
    assert len(parts.reached) == EXPECTED["reached"]
    assert set(parts.intent) <= parts.reached


def test_results_sum_to_the_fen(parts: Cast) -> None:
    """Ninety-five amounts, each its own, make nineteen million yuan."""
    amounts = [result.amount_fen for result in parts.results]
    assert sum(amounts) == EXPECTED["inflow_fen"]
    assert len(amounts) == EXPECTED["converted"]
    assert min(amounts) > 0
    shared = [r for r in parts.results if parts.owners[r.customer_id].assistant_id]
    assert len(shared) == EXPECTED["split_customers"]


def test_too_few_customers_are_refused() -> None:
    """The scenario says how many it needs."""
    with pytest.raises(BankError, match="10,000"):
        cast(TOKENS[1:], held_out, seed=1)
