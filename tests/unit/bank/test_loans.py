"""The cast of the loan scenario adds up to its table."""

from __future__ import annotations

import pytest

from bank.errors import BankError
from bank.loans import CUSTOMERS, EXPECTED, LoanCast, cast_loans

TOKENS = [7_919 * number + 13 for number in range(CUSTOMERS)]


@pytest.fixture(scope="module")
def parts() -> LoanCast:
    return cast_loans(TOKENS)


def test_the_same_tokens_are_cast_the_same(parts: LoanCast) -> None:
    """Whatever order they come in."""
    assert cast_loans(TOKENS[::-1]) == parts


def test_everybody_has_one_part(parts: LoanCast) -> None:
    """The parts are all customers, each once, and each has an owner."""
    dealt = [*parts.in_time, *parts.recent, *parts.called]
    assert sorted(dealt) == TOKENS
    assert set(parts.owners) == set(TOKENS)


def test_the_called_are_the_opportunities_of_the_table(parts: LoanCast) -> None:
    """Those of one scene and of two, those who answer and who do not."""
    contended, unanswered, talked = map(len, (parts.contended, parts.unanswered, parts.talked))
    assert contended + unanswered + talked == EXPECTED["opportunities"]
    assert EXPECTED["receipts"] == EXPECTED["opportunities"] + contended
    assert EXPECTED["reached"] == contended + talked


def test_the_drawdowns_sum_to_the_table(parts: LoanCast) -> None:
    """Before and after the reversals; who draws was talked to."""
    drawn = sum(parts.drawdowns.values())
    taken_back = sum(parts.drawdowns[token] for token in parts.reversed)
    assert set(parts.drawdowns) <= set(parts.talked)
    assert (len(parts.drawdowns), drawn) == (EXPECTED["results"], EXPECTED["drawdown_fen"])
    assert drawn - taken_back == EXPECTED["drawdown_after_fen"]
    assert len(parts.drawdowns) - len(parts.reversed) == EXPECTED["converted_after"]


def test_other_numbers_of_customers_are_refused() -> None:
    """The table holds for sixty alone."""
    with pytest.raises(BankError, match="60 different"):
        cast_loans(TOKENS[1:])
