"""How a model decides on events: the one evaluator of live events and of backtests.

    filter → absolute → own → excluded class → cooldown → reversed → wait → fired

A decision depends on the event, the model and what the log held when the
event's request was evaluated, in the order of the log: by stamp, then by what
happened first. So a backtest of the same log comes to the same (`replay`).

With an absence the window is taken when a wait runs out, not when it begins:
the cooldown is asked then, and a wait that ends in nothing takes no window.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from centers.decision.domain import Fact, Judgement, Measured, Verdict, stands
from centers.decision.event_types import CLASS
from centers.decision.rule import WHOLE_BP, OwnThreshold, Rule
from mesh.expression import EvaluationError

MIN_EARLIER: Final = 3
"""With fewer own events to compare with, a customer has no threshold of his own."""

MAX_EARLIER: Final = 1_000
"""Own events compared with, at most: the latest ones."""

_occurred: Final = attrgetter("occurred_us")


@dataclass(slots=True, kw_only=True)
class Past:
    """What decisions on one customer's events look back on.

    Args:
        own: the measures of his events of the model's type, by the `place` of the events;
            only read with an own threshold.
        others: his events of the type that must stay away, by `place`.
        taken: windows that have a trigger of this version; decisions add to them.
    """

    own: Sequence[Measured] = ()
    others: Sequence[Fact] = ()
    taken: set[int] = field(default_factory=set)


def screen(rule: Rule, fact: Fact) -> Verdict | None:
    """What the event alone decides; None when it takes a look at the past."""
    if rule.filter is not None:
        try:
            if not rule.filter.evaluate(fact.attributes):
                return Verdict.FILTERED
        except EvaluationError:
            return Verdict.ERROR
    if not rule.at_least and rule.own is None:
        return None
    measured = fact.attributes.get(rule.measure)
    if not isinstance(measured, int) or measured < rule.at_least:
        return Verdict.BELOW_ABSOLUTE
    return None


def decide(rule: Rule, fact: Fact, past: Past) -> Judgement:
    """What is decided on an event: `screen`, then `judge`."""
    verdict = screen(rule, fact)
    if verdict is not None:
        return Judgement(fact=fact, verdict=verdict)
    return judge(rule, fact, past)


def judge(rule: Rule, fact: Fact, past: Past) -> Judgement:
    """What is decided on an event that passed `screen`.

    Facts of one customer come in the order of the log. One that fires takes its window.
    """
    earlier = 0
    if rule.own is not None:
        values = earlier_values(rule, fact, past.own)
        earlier = len(values)
        if _is_below(rule.own, fact.attributes[rule.measure], values):
            return Judgement(fact=fact, verdict=Verdict.BELOW_OWN, earlier=earlier)
    return Judgement(fact=fact, verdict=_settled(rule, fact, past), earlier=earlier)


def earlier_values(rule: Rule, fact: Fact, own: Sequence[Measured]) -> list[int]:
    """The measure of the customer's events before this one, within the history, as then known."""
    since_us = fact.occurred_us - rule.lead_us
    values: list[int] = []
    for index in range(bisect_left(own, fact.occurred_us, key=_occurred) - 1, -1, -1):
        other = own[index]
        if other.occurred_us < since_us or len(values) == MAX_EARLIER:
            break
        value = other.value
        if isinstance(value, int) and stands(other, fact.ingest_us):
            values.append(value)
    return values


def nearest_rank(values: Sequence[int], percentile_bp: int) -> int:
    """The least value with so many basis points of all values at or below it.

    The nearest-rank percentile (ISO 3534 calls it a sample quantile); `values` in any order.
    """
    rank = max(1, -(-percentile_bp * len(values) // WHOLE_BP))
    return sorted(values)[rank - 1]


def came(rule: Rule, fact: Fact, past: Past) -> Iterator[Fact]:
    """The events that should have stayed away, but came within the time: neither early nor late."""
    first = bisect_right(past.others, fact.occurred_us, key=_occurred)
    for other in past.others[first:]:
        if other.occurred_us > rule.due_us(fact):
            return
        if not other.born_reversed:
            yield other


def _is_below(own: OwnThreshold, measured: int | str, values: Sequence[int]) -> bool:
    if len(values) < MIN_EARLIER or not isinstance(measured, int):
        return False
    return measured * WHOLE_BP < nearest_rank(values, own.percentile_bp) * own.multiple_bp


def _settled(rule: Rule, fact: Fact, past: Past) -> Verdict:
    if fact.attributes.get(CLASS) in rule.excluded:
        return Verdict.EXCLUDED_CLASS
    window = rule.window_key(fact.occurred_us)
    if rule.absence is None and window in past.taken:
        return Verdict.COOLDOWN
    if fact.born_reversed:
        return Verdict.REVERSED
    if rule.absence is not None:
        known = (other.stands_at(fact.ingest_us) for other in came(rule, fact, past))
        return Verdict.ENDED_BY_EVENT if any(known) else Verdict.WAITING
    past.taken.add(window)
    return Verdict.FIRED
