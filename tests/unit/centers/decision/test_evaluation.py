"""The evaluator: percentiles, what a history holds, and the order of verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.decision.domain import DAY_US, Fact, Measure, Verdict
from centers.decision.evaluation import MAX_EARLIER, Past, decide, earlier_values, nearest_rank
from centers.decision.rule import Rule, rule_of
from engine.decision.v1 import decision_pb2 as pb

NOW = 100 * DAY_US


def model(*, own: bool = False, **fields: object) -> pb.Model:
    made = pb.Model(name="large", event_type="core.inflow", scene_id=1, **fields)  # type: ignore[arg-type]
    made.threshold.at_least = 1_000
    if own:
        made.threshold.own_percentile_bp = 9_500
        made.threshold.own_multiple_bp = 30_000
    return made


def fact(
    amount: int = 2_000,
    *,
    at: int = NOW,
    key: str = "k",
    kind: str = "SALARY",
    stamp: int = NOW,
    reversed_us: int | None = None,
) -> Fact:
    return Fact(
        customer_id=7,
        event_type="core.inflow",
        occurred_us=at,
        business_key=key,
        attributes={"amount_fen": amount, "class": kind},
        ingest_us=stamp,
        reversed_us=reversed_us,
    )


def history(*values: int, until: int = NOW, stamp: int = 0) -> list[Measure]:
    """One event an hour, the last of them an hour before."""
    hour = DAY_US // 24
    first = until - len(values) * hour
    return [Measure(first + n * hour, value, stamp, None) for n, value in enumerate(values)]


def verdict(rule: Rule, given_: Fact, past: Past | None = None) -> Verdict:
    return decide(rule, given_, past or Past()).verdict


@pytest.mark.parametrize(
    ("percentile_bp", "expected"),
    [(1, 10), (2_000, 10), (2_001, 20), (5_000, 30), (9_500, 50), (10_000, 50)],
)
def test_percentile_is_the_nearest_rank(percentile_bp: int, expected: int) -> None:
    """It is always one of the values, the least with so many at or below it."""
    assert nearest_rank([50, 10, 30, 20, 40], percentile_bp) == expected


@given(st.lists(st.integers(0, 100), min_size=1), st.integers(1, 10_000))
def test_percentile_has_so_many_values_at_or_below_it(values: list[int], bp: int) -> None:
    """And no smaller value has."""
    found = nearest_rank(values, bp)
    at_or_below = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert at_or_below * 10_000 >= bp * len(values) > below * 10_000


def test_own_threshold_is_a_multiple_of_the_own_percentile() -> None:
    """Three times the 95th percentile is enough, a fen less is not."""
    rule, past = rule_of(model(own=True)), Past(own=history(1_000, 2_000, 3_000))
    assert verdict(rule, fact(9_000), past) is Verdict.FIRED
    assert verdict(rule, fact(8_999), Past(own=past.own)) is Verdict.BELOW_OWN


def test_with_less_than_three_earlier_events_the_own_threshold_does_not_apply() -> None:
    """A new customer is measured absolutely alone."""
    rule = rule_of(model(own=True))
    assert verdict(rule, fact(1_001), Past(own=history(5_000, 5_000))) is Verdict.FIRED


def test_history_ends_before_the_event_and_begins_90_days_before_it() -> None:
    """The beginning is in, the event's own time is not."""
    rule = rule_of(model(own=True))
    edge = NOW - 90 * DAY_US
    own = [Measure(t, t, 0, None) for t in (edge - 1, edge, NOW - 1, NOW, NOW + 1)]
    assert earlier_values(rule, fact(), own) == [NOW - 1, edge]


def test_history_holds_what_stood_when_the_event_was_evaluated() -> None:
    """Neither what came later, nor what had been taken back; but what was taken back later."""
    rule = rule_of(model(own=True))
    own = [
        Measure(NOW - 4, 1, NOW + 1, None),  # came in a later request
        Measure(NOW - 3, 2, 5, NOW),  # reversed in the event's request
        Measure(NOW - 2, 3, 5, NOW + 1),  # reversed in a later one
        Measure(NOW - 1, 4, NOW, None),  # came in the same request
    ]
    assert earlier_values(rule, fact(), own) == [4, 3]


def test_history_is_bounded_to_the_latest_events() -> None:
    """A company with an inflow a minute costs no more than a thousand of them."""
    rule = rule_of(model(own=True))
    own = [Measure(NOW - 2_000 + n, n, 0, None) for n in range(2_000)]
    assert earlier_values(rule, fact(), own) == list(range(1_999, 1_999 - MAX_EARLIER, -1))


def test_filter_is_asked_first_and_an_error_of_it_is_told() -> None:
    """A filter on what the event lacks decides nothing else."""
    rule = rule_of(model(filter="channel == 'APP'"))
    assert verdict(rule, fact(1)) is Verdict.ERROR
    assert verdict(rule_of(model(filter="class != 'SALARY'")), fact(1)) is Verdict.FILTERED


def test_excluded_class_is_asked_after_both_thresholds() -> None:
    """Small events of an excluded class count as small."""
    rule = rule_of(model(exclusion_classes=["INTERNAL_OWN"]))
    assert verdict(rule, fact(999, kind="INTERNAL_OWN")) is Verdict.BELOW_ABSOLUTE
    assert verdict(rule, fact(kind="INTERNAL_OWN")) is Verdict.EXCLUDED_CLASS


def test_reversed_event_that_would_have_fired_is_told_apart_and_takes_no_window() -> None:
    """The next event of the same window fires."""
    rule, past = rule_of(model()), Past()
    taken_back = fact(key="a", reversed_us=NOW)
    assert verdict(rule, taken_back, past) is Verdict.REVERSED
    assert verdict(rule, fact(key="b"), past) is Verdict.FIRED
    assert verdict(rule, fact(key="c", reversed_us=NOW), past) is Verdict.COOLDOWN


def test_second_event_of_a_window_meets_the_cooldown_and_the_next_window_fires() -> None:
    """Windows are aligned: one day by default, in UTC."""
    rule, past = rule_of(model()), Past()
    found = [
        verdict(rule, fact(at=at, key=str(at)), past)
        for at in (NOW, NOW + DAY_US - 1, NOW + DAY_US)
    ]
    assert found == [Verdict.FIRED, Verdict.COOLDOWN, Verdict.FIRED]


def test_event_reversed_in_a_later_request_has_fired() -> None:
    """What is decided stays decided; the trigger is reversed instead."""
    assert verdict(rule_of(model()), fact(reversed_us=NOW + 1)) is Verdict.FIRED


def test_fact_does_not_show_its_amount() -> None:
    """Logs and traces print objects."""
    assert "2000" not in repr(fact(2_000))
