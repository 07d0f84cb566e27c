"""How contacts go on when reports come in."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.reach.domain import (
    FINAL,
    GIVEN_BACK,
    NO_CHAIN,
    Channel,
    Check,
    Contact,
    ContactClass,
    Decision,
    Receipt,
    Report,
    State,
    advanced,
)

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def contact(state: State, channel: Channel = Channel.WECOM) -> Contact:
    return Contact(
        contact_id=1,
        customer_id=1,
        channel=channel,
        contact_class=ContactClass.MARKETING,
        state=state,
        chain=NO_CHAIN,
        staff_id=7,
        actor="rm007",
        material_id=0,
        material_version=0,
        text_sha256="",
        product_id=0,
        receipt=Receipt(
            receipt_id=1,
            decision=Decision.ADMITTED,
            checks=(),
            reason=Check.NONE,
            policy_version=0,
            inputs_sha256="",
            create_time=NOW,
            next_time=None,
            suitability_receipt_id=0,
        ),
        create_time=NOW,
        update_time=NOW,
        go_time=NOW,
    )


def after(present: Contact, *reports: Report) -> Contact:
    for report in reports:
        present = advanced(present, report, NOW) or present
    return present


SENT, DELIVERED = Report(state=State.SENT), Report(state=State.DELIVERED)
FAILED = Report(state=State.FAILED, result_code="NOT_FRIEND")


@pytest.mark.parametrize(
    ("state", "reports", "ends"),
    [
        (State.DISPATCHED, [SENT, DELIVERED], State.DELIVERED),
        (State.DISPATCHED, [DELIVERED, SENT], State.DELIVERED),
        (State.AWAIT_STAFF_CONFIRM, [SENT, SENT, DELIVERED], State.DELIVERED),
        (State.SENT, [FAILED, DELIVERED], State.FAILED),
        (State.DELIVERED, [FAILED], State.DELIVERED),
        (State.AWAIT_STAFF_CONFIRM, [Report(state=State.EXPIRED), SENT], State.EXPIRED),
        (State.SENT, [Report(state=State.EXPIRED)], State.SENT),
        (State.SENT, [Report(state=State.CANCELLED)], State.SENT),
        (State.QUEUED, [DELIVERED], State.QUEUED),
        (State.DEFERRED, [FAILED], State.DEFERRED),
        (State.DENIED, [DELIVERED], State.DENIED),
        (State.CANCELLED, [DELIVERED], State.CANCELLED),
    ],
)
def test_a_contact_goes_forward_alone(state: State, reports: list[Report], ends: State) -> None:
    """Late, repeated and out-of-order reports, and those of what never left, change nothing."""
    assert after(contact(state), *reports).state is ends


def test_only_wecom_messages_wait_for_a_confirmation() -> None:
    """A text message cannot come to wait for one."""
    waiting = Report(state=State.AWAIT_STAFF_CONFIRM)
    assert advanced(contact(State.DISPATCHED, Channel.SMS), waiting, NOW) is None


@pytest.mark.parametrize(
    ("channel", "talk_s", "reached"),
    [
        (Channel.CALL, 59, False),
        (Channel.CALL, 60, True),
        (Channel.AI_CALL, 61, True),
        (Channel.SMS, 0, True),
        (Channel.WECOM, 0, True),
    ],
)
def test_a_call_reaches_from_a_minute_on_and_a_message_when_it_arrives(
    channel: Channel, talk_s: int, *, reached: bool
) -> None:
    """Nobody is reached before it is delivered."""
    begun = contact(State.DISPATCHED, channel)
    ended = after(begun, Report(state=State.DELIVERED, talk_time=timedelta(seconds=talk_s)))
    assert ended.reached is reached
    assert not begun.reached


states = st.sampled_from(list(State))
told = st.builds(Report, state=st.sampled_from([s for s in State if s > State.QUEUED]))


@given(states, st.lists(told, max_size=8), st.randoms(use_true_random=False))
def test_a_place_in_the_caps_is_given_back_at_most_once(
    state: State, reports: list[Report], order: random.Random
) -> None:
    """A contact that gave its place back never takes it again, however reports come in."""
    order.shuffle(reports)
    present, given_back = contact(state), []
    for report in reports:
        moved = advanced(present, report, NOW)
        if moved is not None:
            assert present.state not in FINAL
            assert moved.state > present.state
            given_back.append(present.state not in GIVEN_BACK and moved.state in GIVEN_BACK)
            present = moved
    assert sum(given_back) <= 1
