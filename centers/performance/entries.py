"""What is written for a batch of results and reversals, worked out before it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias

from centers.performance.domain import (
    NO_HISTORY,
    RULE_VERSION,
    Chain,
    Credit,
    Fact,
    History,
    Metric,
    Result,
    Reversal,
    attribute,
    divide,
)
from centers.performance.errors import PerformanceReason
from mesh.errors import MeshError
from mesh.ownership import Owner

Key: TypeAlias = tuple[str, Metric]

NOBODY: Final[Mapping[int, Owner]] = {}


class LedgerMoved(MeshError):  # noqa: N818 - named after what happened
    """More entries are due than ids were taken for: take more and decide again."""

    def __init__(self) -> None:
        super().__init__(PerformanceReason.LEDGER_MOVED)


class Supply:
    """Ids that were taken before the transaction."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids: Iterator[int] = iter(ids)

    def next(self) -> int:
        """The next one.

        Raises:
            LedgerMoved: they are used up.
        """
        for number in self._ids:
            return number
        raise LedgerMoved


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What decides whose a result is: histories and owners by customer."""

    histories: Mapping[int, History]
    owners: Mapping[int, Owner]

    def cause(self, fact: Fact) -> Chain:
        """What led to it."""
        history = self.histories.get(fact.customer_id, NO_HISTORY)
        return attribute(history, fact.occurred_time)


@dataclass(slots=True, kw_only=True)
class Sheet:
    """Entries to be written. What it is given it never changes.

    `news` tells each change of a result with the entries made for it.
    """

    credit_ids: Supply
    now: datetime
    added: dict[Key, Result] = field(default_factory=dict)
    changed: dict[Key, Result] = field(default_factory=dict)
    buried: dict[Key, Reversal] = field(default_factory=dict)
    credits: list[Credit] = field(default_factory=list)
    news: list[tuple[Result, Sequence[Credit]]] = field(default_factory=list)
    _made: dict[int, Sequence[Credit]] = field(default_factory=dict)

    def add(self, fact: Fact, result_id: int, knowledge: Knowledge) -> None:
        """Record a fact that is new, and credit it when it counts."""
        result = Result(result_id=result_id, fact=fact, counts=fact.counts, recorded_time=self.now)
        made: Sequence[Credit] = ()
        if result.counts:
            result, made = self._credited(result, knowledge)
        self.added[fact.key] = result
        self._made[result_id] = made
        self._tell(result, made)

    def add_reversed(self, fact: Fact, result_id: int, grave: Reversal) -> None:
        """Record a fact that was taken back before it came: it counts nothing."""
        result = Result(
            result_id=result_id,
            fact=fact,
            counts=False,
            reversed=True,
            reverse_date=grave.business_date,
            reverse_reason=grave.reason,
            recorded_time=self.now,
        )
        self.added[fact.key] = result
        self._tell(result, ())

    def take_back(self, before: Result, reversal: Reversal, standing: Sequence[Credit]) -> None:
        """Undo the entries that stand for a result, on the reversal's business date."""
        result = replace(
            before,
            reversed=True,
            reverse_date=reversal.business_date,
            reverse_reason=reversal.reason,
        )
        made = [self._undone(credit, reversal.business_date) for credit in standing]
        self._put(result)
        self._tell(result, made)

    def reattribute(self, before: Result, standing: Sequence[Credit], knowledge: Knowledge) -> None:
        """Credit anew what nobody got, now that its cause is known; on the day of the result."""
        undone = [self._undone(credit, credit.business_date) for credit in standing]
        result, made = self._credited(before, knowledge)
        self._put(result)
        self._tell(result, [*made, *undone])

    def standing(self, key: Key) -> Sequence[Credit]:
        """The entries of a result that was added to this sheet."""
        return self._made.get(self.added[key].result_id, ())

    def _credited(self, result: Result, knowledge: Knowledge) -> tuple[Result, list[Credit]]:
        fact, chain = result.fact, knowledge.cause(result.fact)
        parts = divide(fact.amount_fen, chain, knowledge.owners.get(fact.customer_id))
        made = [
            Credit(
                credit_id=self.credit_ids.next(),
                result_id=result.result_id,
                metric=fact.metric,
                business_key=fact.business_key,
                customer_id=fact.customer_id,
                owner_id=part.owner_id,
                branch_id=part.branch_id,
                amount_fen=part.amount_fen,
                share_bp=part.share_bp,
                chain=chain,
                rule_version=RULE_VERSION,
                business_date=fact.business_date,
                create_time=self.now,
            )
            for part in parts
        ]
        owners = sum(part.owner_id != 0 for part in parts)
        return replace(result, chain=chain, owners=owners), made

    def _undone(self, credit: Credit, business_date: str) -> Credit:
        return replace(
            credit,
            credit_id=self.credit_ids.next(),
            amount_fen=-credit.amount_fen,
            business_date=business_date,
            reversed_credit_id=credit.credit_id,
            create_time=self.now,
        )

    def _put(self, result: Result) -> None:
        key = result.fact.key
        (self.added if key in self.added else self.changed)[key] = result

    def _tell(self, result: Result, made: Sequence[Credit]) -> None:
        self.credits.extend(made)
        self.news.append((result, made))
