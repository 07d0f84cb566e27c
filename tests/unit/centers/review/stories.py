"""Random stories of customers in a scene, the events that tell them, and a plain count.

The count is taken from the stories themselves, customer by customer, as a person
with the source tables of all centres would: it shares nothing with the review.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from hypothesis import strategies as st

from engine.action.v1 import action_pb2 as action
from engine.benefits.v1 import benefits_pb2 as benefits
from engine.mesh.v1.event_pb2 import Event
from engine.performance.v1 import performance_pb2 as performance
from engine.reach.v1 import reach_pb2 as reach
from tests.unit.centers.review import telling

WAIT, GRANT, REVOKE = (
    benefits.GRANT_STATE_WAIT_LISTED,
    benefits.GRANT_STATE_GRANTED,
    benefits.GRANT_STATE_REVOKED,
)


@dataclass(frozen=True)
class Attempt:
    """A contact and the states that it goes through after its admission."""

    channel: int
    decision: int
    reason: int
    states: tuple[int, ...]
    reached: bool


@dataclass(frozen=True)
class Money:
    """A result, so many days after the opportunity's event."""

    days: float
    metric: int
    counts: bool
    taken_back: bool

    @property
    def converts(self) -> bool:
        return (
            self.metric == performance.METRIC_NET_EXTERNAL_INFLOW
            and self.counts
            and not self.taken_back
            and 0 < self.days <= 30
        )


@dataclass(frozen=True)
class Story:
    """One customer. Contacts, outcome and benefit are of those alone who have a task."""

    held_out: bool
    suppressed: int
    owner: int
    attempts: tuple[Attempt, ...]
    outcome: int
    cancelled: bool
    benefit: tuple[int, ...]
    money: tuple[Money, ...]

    @property
    def has_task(self) -> bool:
        return not self.held_out and not self.suppressed


def _attempts() -> st.SearchStrategy[Attempt]:
    denied = st.builds(
        Attempt,
        channel=st.integers(1, 4),
        decision=st.just(reach.ADMISSION_DECISION_DENIED),
        reason=st.integers(1, 8),
        states=st.just(()),
        reached=st.just(False),
    )
    sent, arrived = reach.CONTACT_STATE_SENT, reach.CONTACT_STATE_DELIVERED
    failed = reach.CONTACT_STATE_FAILED
    let_out = st.builds(
        Attempt,
        channel=st.integers(1, 4),
        decision=st.sampled_from(
            [reach.ADMISSION_DECISION_ADMITTED, reach.ADMISSION_DECISION_DEFERRED]
        ),
        reason=st.just(0),
        states=st.sampled_from([(), (sent,), (sent, arrived), (sent, failed), (failed,)]),
        reached=st.booleans(),
    )
    return st.one_of(let_out, let_out, denied)


STORIES = st.lists(
    st.builds(
        Story,
        held_out=st.sampled_from([False, False, False, True]),
        suppressed=st.sampled_from([0, 0, 0, 1, 2, 3, 4]),
        owner=st.integers(1, 3),
        attempts=st.lists(_attempts(), max_size=3).map(tuple),
        outcome=st.integers(0, 3),
        cancelled=st.booleans(),
        benefit=st.sampled_from([(), (WAIT,), (GRANT,), (WAIT, GRANT), (GRANT, REVOKE)]),
        money=st.lists(
            st.builds(
                Money,
                days=st.sampled_from([-1, 0, 0.01, 29, 30, 30.01]),
                metric=st.integers(1, 2),
                counts=st.sampled_from([True, True, False]),
                taken_back=st.sampled_from([False, False, True]),
            ),
            max_size=3,
        ).map(tuple),
    ),
    max_size=8,
)


def told(stories: Sequence[Story], version: int) -> list[Event]:
    """All events; ids are those of the version with the customer's number behind."""
    events = [telling.scene(version=version)]
    for place, story in enumerate(stories, start=1):
        events += _events(story, version * 100 + place, version)
    return events


def delivered(events: Sequence[Event], random: Random) -> Iterator[Event]:
    """In any order but that of one topic and key; some come again, after later ones too."""
    queues: defaultdict[tuple[str, str], deque[Event]] = defaultdict(deque)
    for event in events:
        queues[event.topic, event.key].append(event)
    had: list[Event] = []
    while queues:
        key = random.choice(sorted(queues))
        had.append(queues[key].popleft())
        yield had[-1]
        if not queues[key]:
            del queues[key]
        if random.random() < 0.3:
            yield random.choice(had)


def _events(story: Story, number: int, version: int) -> Iterator[Event]:
    yield telling.opportunity(
        number,
        held_out=story.held_out,
        suppressed=0 if story.held_out else story.suppressed,
        version=version,
    )
    if story.has_task:
        yield from _of_task(story, number, version)
    for place, money in enumerate(story.money):
        yield from _of_money(money, number, number * 10 + place)


def _of_task(story: Story, number: int, version: int) -> Iterator[Event]:
    yield telling.task(number, owner=story.owner, version=version)
    for place, attempt in enumerate(story.attempts):
        yield from _of_attempt(attempt, number, number * 10 + place, version)
    if story.cancelled:
        cancelled = action.TASK_STATE_CANCELLED
        yield telling.task(number, owner=3, state=cancelled, version=version)
        yield telling.opportunity(number, state=action.OPPORTUNITY_STATE_REVERSED, version=version)
    elif story.outcome:
        done = action.TASK_STATE_SUCCESS
        yield telling.task(number, owner=3, state=done, outcome=story.outcome, version=version)
    for state in story.benefit:
        yield telling.grant(number, state=state, version=version)


def _of_attempt(attempt: Attempt, number: int, contact_id: int, version: int) -> Iterator[Event]:
    for state in (reach.CONTACT_STATE_QUEUED, *attempt.states):
        yield telling.contact(
            contact_id,
            number,
            channel=attempt.channel,
            state=state,
            decision=attempt.decision,
            reason=attempt.reason,
            reached=attempt.reached and state == reach.CONTACT_STATE_DELIVERED,
            version=version,
        )


def _of_money(money: Money, number: int, result_id: int) -> Iterator[Event]:
    for reversed_ in (False, True)[: 1 + money.taken_back]:
        yield telling.result(
            result_id,
            number,
            after=timedelta(days=money.days),
            counts=money.counts,
            reversed_=reversed_,
            metric=money.metric,
        )


def counted(stories: Sequence[Story]) -> tuple[Counter[str], Counter[str]]:
    """Stages and side counts, customer by customer; what is missing is 0."""
    stages: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for story in stories:
        stages["opportunities"] += 1
        converted = any(money.converts for money in story.money)
        if story.held_out:
            counts["held_out"] += 1
            counts["converted_holdout"] += converted
        else:
            stages["treated"] += 1
            stages["converted"] += converted
            _count_treated(story, stages, counts)
    return stages, counts


_SUPPRESSED = {1: "suppressed_opted_out", 2: "suppressed_same_objective"}
_OWNERS = {1: "tasks_rm", 2: "tasks_do", 3: "tasks_robot"}


def _count_treated(story: Story, stages: Counter[str], counts: Counter[str]) -> None:
    if story.suppressed:
        counts[_SUPPRESSED.get(story.suppressed, "suppressed_other")] += 1
        return
    stages["tasks"] += 1
    counts[_OWNERS[story.owner]] += 1
    counts["cancelled_reversed"] += story.cancelled
    for attempt in story.attempts:
        _count_attempt(attempt, counts)
    reached = any(_reached(attempt) for attempt in story.attempts)
    stages["attempted"] += bool(story.attempts)
    stages["reached"] += reached
    interested = story.outcome == action.OUTCOME_INTERESTED and not story.cancelled
    stages["intent"] += reached and interested
    counts["claimed"] += bool(story.benefit)
    counts["granted"] += GRANT in story.benefit
    counts["wait_listed"] += story.benefit[-1:] == (WAIT,)


def _count_attempt(attempt: Attempt, counts: Counter[str]) -> None:
    counts["receipts"] += 1
    if attempt.decision == reach.ADMISSION_DECISION_DEFERRED:
        counts["deferred"] += 1
    elif attempt.decision == reach.ADMISSION_DECISION_DENIED:
        is_cap = attempt.reason == reach.ADMISSION_CHECK_CAP
        counts["denied_cap" if is_cap else "denied_other"] += 1
    else:
        counts["admitted"] += 1
        if attempt.channel == reach.CHANNEL_WECOM:
            counts["wecom_created"] += 1
            counts["wecom_confirmed"] += reach.CONTACT_STATE_SENT in attempt.states
            counts["wecom_delivered"] += reach.CONTACT_STATE_DELIVERED in attempt.states
        elif attempt.channel != reach.CHANNEL_SMS:
            counts["calls"] += 1
            counts["effective_calls"] += _reached(attempt)


def _reached(attempt: Attempt) -> bool:
    return attempt.reached and reach.CONTACT_STATE_DELIVERED in attempt.states
