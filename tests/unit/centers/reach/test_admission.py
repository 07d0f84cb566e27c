"""What admission decides of a snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.reach.admission import (
    OPEN,
    Attempt,
    Counted,
    Gates,
    Snapshot,
    channel_state,
    decide,
)
from centers.reach.domain import Channel, Check, ContactClass, Decision, Finding
from centers.reach.preference import NO_QUIET, Preference, Said
from centers.reach.quiet import QuietHours
from centers.reach.rules import BUILT_IN, DEMO, Cap, ChannelQuiet, Rules, built_in
from mesh.zone import BANK_ZONE

NOON = datetime(2026, 3, 10, 12, tzinfo=BANK_ZONE)
NIGHT = NOON.replace(hour=23)
MORNING = datetime(2026, 3, 11, 8, tzinfo=BANK_ZONE)
MARKETING, SERVICE, LAW = (
    ContactClass.MARKETING,
    ContactClass.SERVICE,
    ContactClass.REGULATORY,
)
SMS = Attempt(customer_id=1, channel=Channel.SMS, contact_class=MARKETING)
ALL_CHECKS = [check for check in Check if check is not Check.NONE]


def preference(said: Said, quiet: QuietHours = NO_QUIET) -> Preference:
    return Preference(
        customer_id=1,
        channel=Channel.ALL,
        contact_class=ContactClass.ALL,
        said=said,
        said_time=NOON,
        quiet=quiet,
        evidence="",
        update_time=NOON,
    )


def ago(
    channel: Channel = Channel.CALL, contact_class: ContactClass = MARKETING, **span: float
) -> Counted:
    return Counted(channel, contact_class, NOON - timedelta(**span))


def refused(check: Check) -> Gates:
    why = Finding(check, False, "WHY")
    return Gates(
        content=why if check is Check.CONTENT else OPEN.content,
        suitability=why if check is Check.SUITABILITY else OPEN.suitability,
        qualification=why if check is Check.QUALIFICATION else OPEN.qualification,
    )


CONSENTING = replace(DEMO, consent_channels=frozenset({Channel.SMS}))
GAP = Rules(version=3, caps=(), min_gap=timedelta(hours=4))


@pytest.mark.parametrize(
    ("attempt", "rules", "snapshot", "gates", "reason"),
    [
        (SMS, DEMO, Snapshot(), OPEN, Check.NONE),
        (SMS, DEMO, Snapshot(scene_held=True), OPEN, Check.SCENE_RUNS),
        (SMS, DEMO, Snapshot(preferences=[preference(Said.REFUSES)]), OPEN, Check.OPT_OUT),
        (SMS, CONSENTING, Snapshot(), OPEN, Check.CONSENT),
        (SMS, CONSENTING, Snapshot(preferences=[preference(Said.CONSENTS)]), OPEN, Check.NONE),
        (replace(SMS, channel=Channel.CALL), CONSENTING, Snapshot(), OPEN, Check.NONE),
        (replace(SMS, contact_class=SERVICE), CONSENTING, Snapshot(), OPEN, Check.NONE),
        (SMS, DEMO, Snapshot(), refused(Check.CONTENT), Check.CONTENT),
        (SMS, DEMO, Snapshot(), refused(Check.SUITABILITY), Check.SUITABILITY),
        (SMS, DEMO, Snapshot(), refused(Check.QUALIFICATION), Check.QUALIFICATION),
        (SMS, DEMO, Snapshot(recent=[ago(days=6.9)]), OPEN, Check.CAP),
        (SMS, DEMO, Snapshot(recent=[ago(days=7)]), OPEN, Check.NONE),
        (SMS, DEMO, Snapshot(recent=[ago(contact_class=SERVICE, days=1)]), OPEN, Check.NONE),
        (
            SMS,
            DEMO,
            Snapshot(recent=[ago(Channel.SMS, days=day) for day in (8, 15, 22, 29)]),
            OPEN,
            Check.CAP,
        ),
        (SMS, GAP, Snapshot(recent=[ago(contact_class=LAW, hours=3)]), OPEN, Check.MIN_GAP),
        (SMS, GAP, Snapshot(recent=[ago(hours=4)]), OPEN, Check.NONE),
    ],
)
def test_the_first_check_that_fails_is_the_reason(
    attempt: Attempt, rules: Rules, snapshot: Snapshot, gates: Gates, reason: Check
) -> None:
    """Everything is checked and listed, whatever failed."""
    verdict = decide(attempt, rules, snapshot, gates, NOON)
    assert verdict.reason is reason
    assert [finding.check for finding in verdict.checks] == ALL_CHECKS
    assert verdict.decision is (Decision.DENIED if reason else Decision.ADMITTED)


def test_what_the_law_wants_goes_out_whatever_the_customer_and_the_bank_wish() -> None:
    """Neither refusal nor cap nor gap nor the night holds it back."""
    snapshot = Snapshot(preferences=[preference(Said.REFUSES)], recent=[ago(minutes=1)])
    rules = replace(BUILT_IN, min_gap=timedelta(hours=4))
    attempt = replace(SMS, contact_class=LAW)
    assert decide(attempt, rules, snapshot, OPEN, NIGHT).decision is Decision.ADMITTED


def test_quiet_hours_alone_defer_to_their_end() -> None:
    """At night it waits for the morning; nothing is dropped."""
    verdict = decide(SMS, BUILT_IN, Snapshot(), OPEN, NIGHT)
    assert (verdict.decision, verdict.go_time) == (Decision.DEFERRED, MORNING)


def test_quiet_hours_with_anything_else_deny() -> None:
    """What is refused is not held back to be refused again."""
    verdict = decide(SMS, BUILT_IN, Snapshot(scene_held=True), OPEN, NIGHT)
    assert (verdict.decision, verdict.reason) == (Decision.DENIED, Check.SCENE_RUNS)


def test_a_customer_s_own_quiet_hours_hold_beside_the_bank_s() -> None:
    """In the demo, where the bank rests never, his own hold all the same."""
    rests = Snapshot(preferences=[preference(Said.NOTHING, QuietHours(11 * 60, 15 * 60))])
    verdict = decide(SMS, DEMO, rests, OPEN, NOON)
    assert (verdict.decision, verdict.go_time) == (Decision.DEFERRED, NOON.replace(hour=15))


def test_a_deferred_contact_is_judged_at_the_time_at_which_it_goes_out() -> None:
    """The cap of yesterday's call has opened by tomorrow morning."""
    rules = replace(BUILT_IN, caps=(replace(BUILT_IN.caps[0], window=timedelta(days=1)),))
    before = NIGHT - timedelta(hours=16)  # 07:00; the window is free again at 07:00 tomorrow
    snapshot = Snapshot(recent=[Counted(Channel.CALL, MARKETING, before)])
    assert decide(SMS, rules, snapshot, OPEN, NIGHT).decision is Decision.DEFERRED
    waiting = Snapshot(recent=[Counted(Channel.CALL, MARKETING, MORNING)])
    assert decide(SMS, rules, waiting, OPEN, NIGHT).reason is Check.CAP


def test_a_limit_of_none_denies_for_good() -> None:
    """A cap of 0 allows nothing, and time does not open it."""
    rules = Rules(version=1, caps=(replace(DEMO.caps[0], limit=0),))
    state = channel_state(SMS, rules, Snapshot(), NOON)
    assert [one.check for one in state.obstacles] == [Check.CAP]
    assert state.next_time is None


def test_only_the_demo_has_no_night() -> None:
    """The policy in the code rests from 21:00 to 08:00 elsewhere."""
    assert decide(SMS, built_in(demo=True), Snapshot(), OPEN, NIGHT).decision is Decision.ADMITTED
    assert decide(SMS, built_in(demo=False), Snapshot(), OPEN, NIGHT).decision is Decision.DEFERRED


@pytest.mark.parametrize(
    ("rules", "snapshot", "opens"),
    [
        (DEMO, Snapshot(recent=[ago(days=5)]), NOON + timedelta(days=2)),
        (BUILT_IN, Snapshot(recent=[ago(days=5, hours=15)]), MORNING + timedelta(days=1)),
        (GAP, Snapshot(recent=[ago(hours=1)]), NOON + timedelta(hours=3)),
        (DEMO, Snapshot(preferences=[preference(Said.REFUSES)]), None),
    ],
)  # fmt: skip
def test_it_says_when_time_alone_opens_the_way(
    rules: Rules, snapshot: Snapshot, opens: datetime | None
) -> None:
    """When the oldest leaves the window and it is not quiet; never for a refusal."""
    assert channel_state(SMS, rules, snapshot, NOON).next_time == opens


def test_the_digest_names_the_inputs() -> None:
    """Equal inputs, equal digest; any other input, another one."""
    first = decide(SMS, DEMO, Snapshot(), OPEN, NOON)
    assert first == decide(SMS, DEMO, Snapshot(), OPEN, NOON)
    later = NOON + timedelta(microseconds=1)
    others = [
        decide(replace(SMS, customer_id=2), DEMO, Snapshot(), OPEN, NOON),
        decide(SMS, replace(DEMO, version=2), Snapshot(), OPEN, NOON),
        decide(SMS, DEMO, Snapshot(scene_held=True), OPEN, NOON),
        decide(SMS, DEMO, Snapshot(recent=[ago(days=9)]), OPEN, NOON),
        decide(SMS, DEMO, Snapshot(preferences=[preference(Said.CONSENTS)]), OPEN, NOON),
        decide(SMS, DEMO, Snapshot(), refused(Check.CONTENT), NOON),
        decide(SMS, DEMO, Snapshot(), OPEN, later),
    ]
    assert len({first.inputs_sha256, *(one.inputs_sha256 for one in others)}) == 8


channels = st.sampled_from([Channel.CALL, Channel.SMS, Channel.WECOM])
classes = st.sampled_from([MARKETING, SERVICE])
attempts = st.builds(Attempt, customer_id=st.just(1), channel=channels, contact_class=classes)
moments = st.integers(0, 20 * 24 * 3_600).map(lambda s: NOON + timedelta(seconds=s))
counted = st.builds(Counted, channels, classes, moments)
caps = st.builds(
    Cap,
    channel=st.sampled_from([Channel.ALL, Channel.CALL, Channel.SMS]),
    contact_class=classes,
    window=st.integers(1, 240).map(lambda hours: timedelta(hours=hours)),
    limit=st.integers(0, 3),
)
quiet = st.builds(
    ChannelQuiet,
    channel=st.sampled_from([Channel.ALL, Channel.SMS]),
    hours=st.builds(QuietHours, st.integers(0, 1439), st.integers(0, 1439)),
)
policies = st.builds(
    Rules,
    version=st.just(1),
    caps=st.lists(caps, max_size=3).map(tuple),
    quiet=st.lists(quiet, max_size=1).map(tuple),
    min_gap=st.integers(0, 48).map(lambda hours: timedelta(hours=hours)),
)


@given(attempts, policies, st.lists(counted, max_size=6), moments)
def test_a_channel_that_is_said_to_open_is_open_then(
    attempt: Attempt, rules: Rules, recent: list[Counted], now: datetime
) -> None:
    """The time that is told to the caller is true, if nothing else happens."""
    snapshot = Snapshot(recent=recent)
    opens = channel_state(attempt, rules, snapshot, now).next_time
    if opens is not None:
        assert decide(attempt, rules, snapshot, OPEN, opens).decision is Decision.ADMITTED


@given(policies, st.lists(st.tuples(attempts, st.integers(0, 36 * 3_600)), max_size=25))
def test_x3_no_window_of_any_cap_ever_holds_more_than_its_limit(
    rules: Rules, asked: list[tuple[Attempt, int]]
) -> None:
    """Whoever asks, for whatever and whenever: what goes out keeps every cap and the gap."""
    now, out = NOON, list[Counted]()
    for attempt, pause_s in asked:
        now += timedelta(seconds=pause_s)
        verdict = decide(attempt, rules, Snapshot(recent=tuple(out)), OPEN, now)
        if verdict.decision is not Decision.DENIED:
            out.append(Counted(attempt.channel, attempt.contact_class, verdict.go_time))
    for cap in rules.caps:
        times = sorted(one.go_time for one in out if cap.concerns(one.channel, one.contact_class))
        for begin in times:
            within = [time for time in times if begin <= time < begin + cap.window]
            assert len(within) <= cap.limit
    times = sorted(one.go_time for one in out)
    assert all(after - before >= rules.min_gap for before, after in pairwise(times))
