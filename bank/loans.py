"""Scenario A17, "loan pre-approval viewed, not drawn": who plays which part, what must come of it.

Sixty customers looked at a pre-approved offer. Some draw within three days, some
have not had three days yet; the rest is worth a call. A few of those have money
coming in at the same time, so that a wealth scene wants to speak to them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bank.errors import BankError
from bank.inflow import MANAGERS, Owner, branch_of

CUSTOMERS: Final = 60
IN_TIME: Final = 15
RECENT: Final = 5
CONTENDED: Final = 10
UNANSWERED: Final = 5
TALKED: Final = CUSTOMERS - IN_TIME - RECENT - CONTENDED - UNANSWERED
REVERSED: Final = 2
TALK_S: Final = 90

EXPECTED: Final[Mapping[str, int]] = {
    "viewed": CUSTOMERS,
    "drawn_in_time": IN_TIME,
    "waiting": RECENT,
    "opportunities": 40,
    "tasks": 40,
    "wealth_tasks": CONTENDED,
    "receipts": 50,
    "admitted": 40,
    "denied_cap": CONTENDED,
    "most_admitted": 1,
    "reached": 35,
    "intent": 20,
    "results": 20,
    "drawdown_fen": 62_000_000,
    "ledger_fen": 62_000_000,
    "inflow_fen": 0,
    "converted": 20,
    "drawdown_after_fen": 54_000_000,
    "ledger_after_fen": 54_000_000,
    "reversed_fen": 0,
    "converted_after": 18,
}
"""What must be found, by row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanCast:
    """The parts, by customer token.

    `in_time` draw within three days of viewing; the three days of `recent` are not
    over. `contended` have an inflow too. Of those who are called, `talked` answer.
    `drawdowns` are amounts in fen of those who draw after a call; `reversed` are
    among them.
    """

    owners: Mapping[int, Owner]
    in_time: Sequence[int]
    recent: Sequence[int]
    contended: Sequence[int]
    unanswered: Sequence[int]
    talked: Sequence[int]
    drawdowns: Mapping[int, int]
    reversed: Sequence[int]

    @property
    def called(self) -> Sequence[int]:
        """Those who are worth a call."""
        return (*self.contended, *self.unanswered, *self.talked)


def cast_loans(tokens: Sequence[int]) -> LoanCast:
    """Give 60 customers their parts; the same for the same tokens.

    Raises:
        BankError: there are not 60 different tokens.
    """
    if len(set(tokens)) != CUSTOMERS:
        raise BankError(f"the scenario needs {CUSTOMERS} different customers")
    rest = iter(sorted(tokens))
    in_time, recent, contended, unanswered, talked = (
        [next(rest) for _ in range(size)]
        for size in (IN_TIME, RECENT, CONTENDED, UNANSWERED, TALKED)
    )
    drawing = talked[: EXPECTED["results"]]
    amounts = {token: 4_050_000 - 100_000 * place for place, token in enumerate(drawing)}
    return LoanCast(
        owners={
            token: _manager(1 + place % MANAGERS) for place, token in enumerate(sorted(tokens))
        },
        in_time=in_time,
        recent=recent,
        contended=contended,
        unanswered=unanswered,
        talked=talked,
        drawdowns=amounts,
        reversed=drawing[:REVERSED],
    )


def _manager(number: int) -> Owner:
    return Owner(staff_id=number, branch_id=branch_of(number))
