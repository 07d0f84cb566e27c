"""Admission: whether, and when, a contact may go out. Pure rules over a snapshot.

All checks are made, in the order of the contract; the first that fails is the
reason. When it is quiet hours and nothing else, the contact is deferred until
they end: caps and least gap are therefore judged at the time at which it would
go out, and it takes its place in the caps at that time.

Contacts that the law wants pass opt-out, consent, caps, gap and quiet hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from centers.reach.domain import Channel, Check, ContactClass, Decision, Finding
from centers.reach.preference import NO_QUIET, Preferences, Said, own_quiet, standing
from centers.reach.quiet import QuietHours, opening
from centers.reach.rules import Cap, Rules

EXEMPT: Final = "REGULATORY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is asked for."""

    customer_id: int
    channel: Channel
    contact_class: ContactClass
    scene_version: int = 0

    @property
    def exempt(self) -> bool:
        """Whether the law wants it."""
        return self.contact_class is ContactClass.REGULATORY


@dataclass(frozen=True, slots=True)
class Counted:
    """A contact that takes a place in the caps, and since when; that may lie ahead."""

    channel: Channel
    contact_class: ContactClass
    go_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What the other centres say of content, product and staff."""

    content: Finding
    suitability: Finding
    qualification: Finding
    suitability_receipt_id: int = 0


OPEN: Final = Gates(
    content=Finding(Check.CONTENT, True, "NONE"),
    suitability=Finding(Check.SUITABILITY, True, "NONE"),
    qualification=Finding(Check.QUALIFICATION, True, "NONE"),
)
"""There is nothing to ask them."""

SCENE_RUNS: Final = Finding(Check.SCENE_RUNS, True)
SCENE_HELD: Final = Finding(Check.SCENE_RUNS, False, "HELD")
NOT_REFUSED: Final = Finding(Check.OPT_OUT, True)
REFUSED: Final = Finding(Check.OPT_OUT, False, "REFUSED")
CONSENT_NOT_REQUIRED: Final = Finding(Check.CONSENT, True, "NOT_REQUIRED")
CONSENT_GIVEN: Final = Finding(Check.CONSENT, True, "GIVEN")
CONSENT_MISSING: Final = Finding(Check.CONSENT, False, "MISSING")
CAP_EXEMPT: Final = Finding(Check.CAP, True, EXEMPT)
GAP_EXEMPT: Final = Finding(Check.MIN_GAP, True, EXEMPT)
NO_GAP: Final = Finding(Check.MIN_GAP, True)
NOT_QUIET: Final = Finding(Check.QUIET_HOURS, True)
QUIET: Final = Finding(Check.QUIET_HOURS, False, "UNTIL_OPEN")
ALWAYS_QUIET: Final = Finding(Check.QUIET_HOURS, False, "ALWAYS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the store knows of the customer and the scene at the moment of decision."""

    preferences: Preferences = ()
    recent: Sequence[Counted] = ()
    scene_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided. `go_time` is when it goes out, were nothing else against it."""

    decision: Decision
    checks: tuple[Finding, ...]
    reason: Check
    go_time: datetime
    inputs_sha256: str

    @property
    def failed(self) -> list[Finding]:
        """The checks that were not passed."""
        return [finding for finding in self.checks if not finding.passed]


def decide(
    attempt: Attempt, rules: Rules, snapshot: Snapshot, gates: Gates, now: datetime
) -> Verdict:
    """Admit, defer or deny the attempt."""
    opens = opening(quiet_hours(attempt, rules, snapshot.preferences), now)
    go_time = opens or now
    checks = (
        SCENE_HELD if snapshot.scene_held else SCENE_RUNS,
        _opt_out(attempt, snapshot.preferences),
        _consent(attempt, rules, snapshot.preferences),
        gates.content,
        gates.suitability,
        gates.qualification,
        _caps(attempt, rules, snapshot.recent, go_time),
        _gap(attempt, rules, snapshot.recent, go_time),
        _quiet(opens, now),
    )
    failed = [finding.check for finding in checks if not finding.passed]
    if not failed:
        decision = Decision.ADMITTED
    elif failed == [Check.QUIET_HOURS] and opens is not None:
        decision = Decision.DEFERRED
    else:
        decision = Decision.DENIED
    return Verdict(
        decision=decision,
        checks=checks,
        reason=failed[0] if failed else Check.NONE,
        go_time=go_time,
        inputs_sha256=_digest(attempt, rules, snapshot, gates, now),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """What stands against a channel, and when it opens; None when time alone does not open it."""

    channel: Channel
    obstacles: Sequence[Finding]
    next_time: datetime | None


def channel_state(
    attempt: Attempt, rules: Rules, snapshot: Snapshot, now: datetime
) -> ChannelState:
    """Whether the attempt would be admitted now, by the same rules, without the gates."""
    verdict = decide(attempt, rules, snapshot, OPEN, now)
    return ChannelState(
        channel=attempt.channel,
        obstacles=verdict.failed,
        next_time=next_time(attempt, rules, snapshot, verdict),
    )


def next_time(
    attempt: Attempt, rules: Rules, snapshot: Snapshot, verdict: Verdict
) -> datetime | None:
    """When time alone opens the way; None when it does not, or when it is open."""
    failed = {finding.check for finding in verdict.failed}
    if not failed or failed - {Check.CAP, Check.MIN_GAP, Check.QUIET_HOURS}:
        return None
    quiet = quiet_hours(attempt, rules, snapshot.preferences)
    moment: datetime | None = verdict.go_time
    while moment is not None:
        free = _free(attempt, rules, snapshot.recent, moment)
        moment = None if free is None else opening(quiet, free)
        if moment == free and moment is not None:
            return moment
    return None


def obstacle(attempt: Attempt, rules: Rules, recent: Sequence[Counted], moment: datetime) -> Check:
    """Which of caps and least gap forbids it at a moment, beside these others; or none."""
    findings = _caps(attempt, rules, recent, moment), _gap(attempt, rules, recent, moment)
    return next((finding.check for finding in findings if not finding.passed), Check.NONE)


def quiet_hours(attempt: Attempt, rules: Rules, preferences: Preferences) -> list[QuietHours]:
    """The hours in which such a contact rests: the bank's and the customer's own."""
    if attempt.exempt:
        return []
    own = own_quiet(preferences)
    bank = rules.quiet_hours(attempt.channel)
    return bank if own == NO_QUIET else [*bank, own]


def _opt_out(attempt: Attempt, preferences: Preferences) -> Finding:
    said = standing(preferences, attempt.channel, attempt.contact_class)
    return REFUSED if said is Said.REFUSES else NOT_REFUSED


def _consent(attempt: Attempt, rules: Rules, preferences: Preferences) -> Finding:
    marketing = attempt.contact_class is ContactClass.MARKETING
    if not marketing or not rules.wants_consent(attempt.channel):
        return CONSENT_NOT_REQUIRED
    said = standing(preferences, attempt.channel, attempt.contact_class)
    return CONSENT_GIVEN if said is Said.CONSENTS else CONSENT_MISSING


def _caps(attempt: Attempt, rules: Rules, recent: Sequence[Counted], go_time: datetime) -> Finding:
    if attempt.exempt:
        return CAP_EXEMPT
    told, passed = [], True
    for cap in rules.caps:
        if cap.concerns(attempt.channel, attempt.contact_class):
            used = len(_within(cap, recent, go_time))
            told.append(f"{cap.name} {used}/{cap.limit} in {_span(cap.window)}")
            passed = passed and used < cap.limit
    return Finding(Check.CAP, passed, ", ".join(told))


def _gap(attempt: Attempt, rules: Rules, recent: Sequence[Counted], go_time: datetime) -> Finding:
    gap = rules.min_gap
    if attempt.exempt:
        return GAP_EXEMPT
    if not gap:
        return NO_GAP
    near = any(abs(go_time - counted.go_time) < gap for counted in recent)
    return Finding(Check.MIN_GAP, not near, f"{'<' if near else '>='} {_span(gap)}")


def _quiet(opens: datetime | None, now: datetime) -> Finding:
    if opens == now:
        return NOT_QUIET
    return QUIET if opens else ALWAYS_QUIET


def _within(cap: Cap, recent: Sequence[Counted], moment: datetime) -> list[datetime]:
    """When those went out that fill the cap's window at a moment, and those after it."""
    since = moment - cap.window
    return [
        counted.go_time
        for counted in recent
        if counted.go_time > since and cap.concerns(counted.channel, counted.contact_class)
    ]


def _free(
    attempt: Attempt, rules: Rules, recent: Sequence[Counted], moment: datetime
) -> datetime | None:
    """The first time from a moment on at which caps and gap hold; None for never."""
    free = moment
    if attempt.exempt:
        return free
    for cap in rules.caps:
        if cap.concerns(attempt.channel, attempt.contact_class):
            filled = sorted(_within(cap, recent, moment), reverse=True)
            if not cap.limit:
                return None
            if len(filled) >= cap.limit:
                free = max(free, filled[cap.limit - 1] + cap.window)
    if rules.min_gap and recent:
        free = max(free, max(counted.go_time for counted in recent) + rules.min_gap)
    return free


@lru_cache(maxsize=256)
def _span(time: timedelta) -> str:
    """A length of time in its largest whole unit: "7d", "12h", "90s"."""
    seconds = int(time.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _digest(attempt: Attempt, rules: Rules, snapshot: Snapshot, gates: Gates, now: datetime) -> str:
    """SHA-256 over what was decided on; equal for equal inputs, on any machine."""
    inputs = [
        f"{attempt.customer_id} {attempt.channel:d} {attempt.contact_class:d} {now.isoformat()}",
        f"{attempt.scene_version} {snapshot.scene_held} {rules.version}",
        f"{gates.suitability_receipt_id}",
    ]
    asked = (gates.content, gates.suitability, gates.qualification)
    inputs += [f"{gate.passed} {gate.detail}" for gate in asked]
    for one in snapshot.preferences:
        of = f"{one.channel:d} {one.contact_class:d} {one.said:d} {one.said_time.isoformat()}"
        inputs.append(f"said {of} {one.quiet.from_minute} {one.quiet.to_minute}")
    for went in snapshot.recent:
        of = f"{went.channel:d} {went.contact_class:d}"
        inputs.append(f"went {of} {went.go_time.isoformat()}")
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()
