"""Judges of a round of the mesh: what was doubled or lost, and how soon all was well again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.fault.checkers import _told
from tests.fault.history import Operation, Outcome

GOOD_S: Final = 1.0
"""So long without a failed call is well again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A row of the table: what a round saw.

    `recovered_s` is from the fault to the first second without a failed call, `later` how many
    calls began to fail after that second.
    """

    name: str
    calls: int
    failed: int
    recovered_s: float
    later: int
    doubled: int
    lost: int
    within_s: float

    @property
    def is_in_time(self) -> bool:
        """Whether no more calls failed, and no longer, than was promised."""
        if not self.within_s:
            return not self.failed
        return self.recovered_s <= self.within_s and not self.later

    def __str__(self) -> str:
        bound = f"≤ {self.within_s:g} s" if self.within_s else "no call may fail"
        return (
            f"{self.calls:,} calls, {self.failed} failed, well after {self.recovered_s:.2f} s "
            f"({bound}), {self.later} failed later; {self.doubled} effects doubled, "
            f"{self.lost} reads lost: {'kept' if self.is_in_time else 'LATE'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Judges by the effects that were found: the ids of requests, as often as they ran."""

    found: Sequence[str]

    def __call__(self, history: Sequence[Operation]) -> list[str]:
        ended = {each.value: each.outcome for each in history if each.kind == "add"}
        answered = {value for value, outcome in ended.items() if outcome is Outcome.OK}
        refused = {value for value, outcome in ended.items() if outcome is Outcome.FAILED}
        found = {*self.found}
        return [
            *_told("effect doubled", self.doubled),
            *_told("answered and without effect", answered - found),
            *_told("told that it was not sent, and had an effect", refused & found),
            *_told("effect of nothing", found - ended.keys()),
        ]

    @property
    def doubled(self) -> Sequence[str]:
        """Requests that ran more than once."""
        return [request for request, times in Counter(self.found).items() if times > 1]


def nothing_lost(history: Sequence[Operation]) -> list[str]:
    """Every call that may be repeated was answered."""
    return _told("read lost", _lost(history))


def judged(
    name: str,
    history: Sequence[Operation],
    effects: Effects,
    *,
    faults: Sequence[tuple[str, float]],
    within_s: float,
) -> Told:
    """The row of a round; its time counts from the last fault."""
    since = faults[-1][1]
    failed = [each for each in history if each.outcome is not Outcome.OK]
    spans = [(each.began, each.ended) for each in failed]
    until = max((each.began for each in history), default=since)
    recovered_s = quiet_after_s(spans, since=since, until=until)
    return Told(
        name=name,
        calls=len(history),
        failed=len(failed),
        recovered_s=recovered_s,
        later=sum(each.began > since + recovered_s for each in failed),
        doubled=len(effects.doubled),
        lost=len(_lost(history)),
        within_s=within_s,
    )


def quiet_after_s(failed: Iterable[tuple[float, float]], *, since: float, until: float) -> float:
    """Seconds from `since` to the begin of the first second that no failed call touches.

    A call touches all that lies between its begin and its end. Infinity: there is no such
    second before `until`, when the last call began.

    Args:
        failed: begin and end of each.
        since: when the fault was done.
        until: nothing is known of what comes after.
    """
    quiet = since
    for began, ended in sorted(failed):
        if ended < quiet:
            continue
        if began >= quiet + GOOD_S:
            break
        quiet = ended
    return quiet - since if quiet + GOOD_S <= until else math.inf


def _lost(history: Iterable[Operation]) -> list[str]:
    return [
        each.value for each in history if each.kind == "read" and each.outcome is not Outcome.OK
    ]
