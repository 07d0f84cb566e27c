"""Why a version decided on an event as it did, without the amounts of the event. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from centers.decision.domain import Fact, Verdict
from centers.decision.evaluation import MIN_EARLIER, screen
from centers.decision.event_types import CLASS
from centers.decision.rule import WHOLE_BP, OwnThreshold, Rule
from mesh.clock import from_micros
from mesh.expression import Condition

NOT_LIVE = "the model was live when the event came → false"


def path(rule: Rule, fact: Fact, verdict: Verdict, earlier: int) -> Iterator[str]:
    """The conditions in the order they were tried, each with what it came to.

    Thresholds are the model's and are shown. Amounts are the customer's: neither
    his event's nor his own percentile is.

    Args:
        rule: the version that decided.
        fact: the event.
        verdict: what was decided.
        earlier: how many own events it was compared with.
    """
    if rule.filter is not None:
        for condition in rule.filter.explain(fact.attributes).conditions:
            yield _line(condition, rule.event_type.amounts)
    if verdict in (Verdict.FILTERED, Verdict.ERROR):
        return
    if rule.at_least:
        passed = screen(rule, fact) is not Verdict.BELOW_ABSOLUTE
        yield f"{rule.measure} >= {rule.at_least} → {_word(passed)}"
    if verdict is Verdict.BELOW_ABSOLUTE:
        return
    if rule.own is not None:
        yield _own(rule.own, rule.measure, verdict, earlier)
    if verdict is not Verdict.BELOW_OWN:
        yield from _later(rule, fact, verdict)


def _line(condition: Condition, amounts: frozenset[str]) -> str:
    shown = amounts.isdisjoint(each.name for each in condition.inputs)
    return condition.line(values=shown)


def _own(own: OwnThreshold, measure: str, verdict: Verdict, earlier: int) -> str:
    multiple = f"{own.multiple_bp / WHOLE_BP:g}"
    percentile = f"{own.percentile_bp / 100:g}"
    text = f"{measure} >= {multiple} × own percentile {percentile} of {earlier} earlier events"
    if earlier < MIN_EARLIER:
        return f"{text} → not asked, {MIN_EARLIER} are needed"
    return f"{text} → {_word(verdict is not Verdict.BELOW_OWN)}"


def _later(rule: Rule, fact: Fact, verdict: Verdict) -> Iterator[str]:
    if rule.excluded:
        listed = ", ".join(sorted(rule.excluded))
        passed = verdict is not Verdict.EXCLUDED_CLASS
        yield f"{CLASS} not in {listed}: {fact.attributes.get(CLASS, 'missing')} → {_word(passed)}"
    if verdict is Verdict.EXCLUDED_CLASS:
        return
    if rule.absence is None:
        yield from _window(rule, fact, verdict)
    if verdict is not Verdict.COOLDOWN or rule.absence is not None:
        yield f"not reversed → {_word(verdict is not Verdict.REVERSED)}"
    if rule.absence is not None and verdict is not Verdict.REVERSED:
        yield from _absence(rule, fact, verdict)


def _window(rule: Rule, fact: Fact, verdict: Verdict) -> Iterator[str]:
    began = from_micros(rule.window_key(fact.occurred_us) * rule.cooldown_us)
    passed = verdict is not Verdict.COOLDOWN
    yield f"no other trigger in the window from {began:%Y-%m-%dT%H:%M:%SZ} → {_word(passed)}"


def _absence(rule: Rule, fact: Fact, verdict: Verdict) -> Iterator[str]:
    assert rule.absence is not None, "asked for rules with an absence alone"
    within = timedelta(microseconds=rule.absence.within_us)
    text = f"{rule.absence.event_type} stays away for {within}"
    if verdict is Verdict.WAITING:
        yield f"{text} → waiting until {from_micros(rule.due_us(fact)):%Y-%m-%dT%H:%M:%SZ}"
        return
    yield f"{text} → {_word(verdict is not Verdict.ENDED_BY_EVENT)}"
    if verdict is Verdict.NOT_LIVE:
        yield "the model was live when the time was up → false"
    elif verdict is not Verdict.ENDED_BY_EVENT:
        yield from _window(rule, fact, verdict)


def _word(value: bool) -> str:
    return "true" if value else "false"
