"""The log of one customer evaluated anew, as live evaluation did or would have done. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from centers.decision.domain import Fact, Judgement, Measure, Verdict
from centers.decision.evaluation import Past, came, decide
from centers.decision.rule import Rule

_place: Final = attrgetter("place")
_logged_place: Final = attrgetter("logged_place")


def replay(rule: Rule, facts: Sequence[Fact], *, since_us: int, now_us: int) -> Iterator[Judgement]:
    """Decisions on a customer's events of the model's type, one at a time.

    Args:
        rule: the version.
        facts: all that the log holds of the customer, of both types that the rule names,
            from `rule.lead_us` before `since_us` on.
        since_us: events that happened earlier are only looked back on.
        now_us: waits that are not due by then go on waiting.
    """
    own = sorted((f for f in facts if f.event_type == rule.event_type.name), key=_place)
    others = [f for f in facts if rule.absence and f.event_type == rule.absence.event_type]
    past = Past(own=_measures(rule, own), others=sorted(others, key=_place))
    waiting: list[Judgement] = []
    for fact in sorted((f for f in own if f.occurred_us >= since_us), key=_logged_place):
        decided = decide(rule, fact, past)
        if decided.verdict is Verdict.WAITING:
            waiting.append(decided)
        else:
            yield decided
    yield from _run_out(rule, waiting, past, now_us)


def _measures(rule: Rule, own: Sequence[Fact]) -> Sequence[Measure]:
    if rule.own is None:
        return ()
    return [
        Measure(f.occurred_us, f.attributes.get(rule.measure), f.ingest_us, f.reversed_us)
        for f in own
    ]


def _run_out(
    rule: Rule, waiting: Sequence[Judgement], past: Past, now_us: int
) -> Iterator[Judgement]:
    def due(judgement: Judgement) -> tuple[int, str]:
        return rule.due_us(judgement.fact), judgement.fact.business_key

    for each in sorted(waiting, key=due):
        verdict = _end_of_wait(rule, each.fact, past, now_us)
        yield Judgement(fact=each.fact, verdict=verdict, earlier=each.earlier)


def _end_of_wait(rule: Rule, fact: Fact, past: Past, now_us: int) -> Verdict:
    """What comes first: the other event, a reversal, or the end of the time.

    An event that was loaded after its time had run out (history) counts as if all
    had been known in time.
    """
    due_us = rule.due_us(fact)
    known_by_us = due_us if fact.ingest_us < due_us else now_us
    later = (o.ingest_us for o in came(rule, fact, past) if o.ingest_us > fact.ingest_us)
    ends = [(stamp, Verdict.ENDED_BY_EVENT) for stamp in later]
    if fact.reversed_us is not None:
        ends.append((fact.reversed_us, Verdict.REVERSED))
    stamp, verdict = min(ends, default=(now_us + 1, Verdict.WAITING))
    if stamp <= known_by_us:
        return verdict
    if due_us >= now_us:
        return Verdict.WAITING
    window = rule.window_key(fact.occurred_us)
    if window in past.taken:
        return Verdict.COOLDOWN
    past.taken.add(window)
    return Verdict.FIRED
