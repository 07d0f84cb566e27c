"""Where a message task stands, whatever is heard in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.wecom.domain import (
    CANCELLED,
    CONFIRMED,
    CREATED,
    DELIVERED,
    FAILED,
    MEMBER_PENDING,
    REMINDER_WINDOW,
    Binding,
    Standing,
    admitted,
    next_reminder,
    repeated,
    told,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PENDING = Standing(state=MEMBER_PENDING)

TRUE_STORIES = {
    (("confirmed", ""), ("delivered", "")): Standing(state=DELIVERED),
    (("confirmed", ""), ("failed", "NOT_FRIEND")): Standing(state=FAILED, result_code="NOT_FRIEND"),
    (("confirmed", ""),): Standing(state=CONFIRMED),
    (("cancelled", ""),): Standing(state=CANCELLED),
}
"""What WeCom may tell of one task, and where the task stands then."""

callbacks = st.tuples(
    st.sampled_from(("confirmed", "delivered", "failed", "cancelled")),
    st.sampled_from(("", "LIMIT_REACHED", "NOT_FRIEND")),
)


@pytest.mark.parametrize("story", TRUE_STORIES)
@given(data=st.data())
def test_callbacks_in_any_order_and_number_lead_to_the_same_end(
    story: tuple[tuple[str, str], ...], data: st.DataObject
) -> None:
    """Shuffled and repeated, with each one told at least once."""
    heard = data.draw(st.permutations(story * 3))
    assert reduce(Standing.after, (told(*each) for each in heard), PENDING) == TRUE_STORIES[story]


@given(st.lists(callbacks, max_size=8), st.randoms(use_true_random=False))
def test_order_makes_no_difference_even_to_what_cannot_be_true(heard, random) -> None:  # type: ignore[no-untyped-def]
    """Contradictory callbacks end in one place too."""
    shuffled = [*heard, *heard]
    random.shuffle(shuffled)
    ends = [
        reduce(Standing.after, (told(*each) for each in order), PENDING)
        for order in (heard, shuffled)
    ]
    assert ends[0] == ends[1]


@given(st.lists(callbacks, max_size=8))
def test_task_never_goes_back(heard: list[tuple[str, str]]) -> None:
    """Once confirmed it does not wait again; once delivered it stays so."""
    standing = Standing(state=CREATED)
    for each in (("confirmed", ""), *heard):
        before, standing = standing, standing.after(told(*each))
        assert standing.after(before) == standing
    assert standing.state in (CONFIRMED, FAILED, DELIVERED)


@pytest.mark.parametrize(
    ("binding", "standing"),
    [
        (None, Standing(state=FAILED, result_code="NOT_BOUND")),
        (7, Standing(state=CREATED)),
        (8, Standing(state=FAILED, result_code="NOT_FRIEND")),
    ],
    ids=["unbound", "his own", "somebody else's"],
)
def test_only_the_member_who_added_a_customer_sends(
    binding: int | None, standing: Standing
) -> None:
    """Without a binding an external contact is nobody."""
    bound = binding and Binding(customer_id=11, external_userid="wm11", staff_id=binding)
    assert admitted(bound or None, 7) == standing


def test_what_stands_twice_in_a_list_is_named() -> None:
    """Customers and external contacts alike."""
    bindings = [
        Binding(customer_id=customer, external_userid=external, staff_id=7)
        for customer, external in ((1, "a"), (2, "b"), (1, "c"), (3, "b"))
    ]
    assert [(one.field, one.description) for one in repeated(bindings)] == [
        ("bindings[2].customer_id", "the same as bindings[0]"),
        ("bindings[3].external_userid", "the same as bindings[1]"),
    ]


@given(st.lists(st.integers(0, 200_000), max_size=12))
def test_no_day_has_more_than_three_reminders(pauses_s: list[int]) -> None:
    """Whenever somebody tries: within any 24 hours at most three go through."""
    now, sent = NOW, list[datetime]()
    for pause_s in pauses_s:
        now += timedelta(seconds=pause_s)
        again = next_reminder(sent, now)
        if again is None:
            sent.append(now)
        else:
            assert next_reminder(sent, again - timedelta(microseconds=1)) is not None
            assert next_reminder(sent, again) is None
    for start in sent:
        assert sum(start <= time < start + REMINDER_WINDOW for time in sent) <= 3
