"""The judges of a round of the mesh see what was doubled or lost, and when all was well again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fault.history import Operation, Outcome
from tests.fault.mesh_judge import Effects, judged, nothing_lost, quiet_after_s

FAULT_AT = 100.0
UNTIL = 110.0


def call(request: str, outcome: Outcome, kind: str = "add", **times: float) -> Operation:
    known: dict[str, Any] = {"began": FAULT_AT - 1, "ended": FAULT_AT - 1, **times}
    return Operation(process="teller", kind=kind, value=request, outcome=outcome, **known)


@pytest.mark.parametrize(
    ("failed", "after_s"),
    [
        ([], 0.0),
        ([(95.0, 99.0)], 0.0),  # over before the fault
        ([(99.0, 100.4)], 0.4),  # under way when it came
        ([(100.1, 103.0)], 3.0),  # it waited for its answer all the time
        ([(100.9, 101.0)], 1.0),  # within the first second
        ([(100.1, 100.2), (101.1, 101.2)], 1.2),  # a second was not over in between
        ([(100.1, 100.2), (101.2, 101.3)], 0.2),  # it was
        ([(100.0, 104.0), (101.0, 101.1)], 4.0),  # a short one within a long one
        ([(105.0, 105.1), (100.0, 100.1)], 0.1),  # in any order
        ([(100.5, math.inf)], math.inf),  # it never ended
        ([(108.9, 109.1)], 0.0),
        ([(100.0 + n / 2, 100.1 + n / 2) for n in range(20)], math.inf),  # it goes on and on
    ],
)
def test_all_is_well_with_the_first_second_that_no_failed_call_touches(
    failed: Sequence[tuple[float, float]], after_s: float
) -> None:
    """A call that fails does so from its begin to its end, not in the moment that it ends."""
    assert quiet_after_s(failed, since=FAULT_AT, until=UNTIL) == pytest.approx(after_s)


@pytest.mark.parametrize(
    ("outcome", "found", "wrong"),
    [
        (Outcome.OK, ["a"], ""),
        (Outcome.UNKNOWN, ["a"], ""),
        (Outcome.UNKNOWN, [], ""),
        (Outcome.FAILED, [], ""),
        (Outcome.OK, ["a", "a"], "effect doubled: 1 (a)"),
        (Outcome.UNKNOWN, ["a", "a"], "effect doubled: 1 (a)"),
        (Outcome.OK, [], "answered and without effect: 1 (a)"),
        (Outcome.FAILED, ["a"], "told that it was not sent, and had an effect: 1 (a)"),
        (Outcome.OK, ["a", "b"], "effect of nothing: 1 (b)"),
    ],
)
def test_effects_are_compared_with_what_was_told(
    outcome: Outcome, found: Sequence[str], wrong: str
) -> None:
    """Each call had at most one, and that if it was answered."""
    assert Effects(found=found)([call("a", outcome)]) == ([wrong] if wrong else [])


def test_a_read_that_was_not_answered_is_lost() -> None:
    """It could have been sent again. A call with an effect could not."""
    history = [
        call("a", Outcome.OK, "read"),
        call("b", Outcome.UNKNOWN, "read"),
        call("c", Outcome.FAILED, "read"),
        call("d", Outcome.UNKNOWN),
    ]
    assert nothing_lost(history) == ["read lost: 2 (b, c)"]


@pytest.mark.parametrize(
    ("within_s", "is_in_time"), [(0.0, False), (0.5, False), (1.0, True), (3.0, True)]
)
def test_a_round_is_in_time_or_not(within_s: float, is_in_time: bool) -> None:
    """The time counts from the last fault; where no call may fail, one is too many."""
    history = [
        call("a", Outcome.UNKNOWN, began=100.0, ended=100.8),
        call("b", Outcome.OK, began=105.0, ended=105.1),
    ]
    faults = [("kill", 50.0), ("kill", FAULT_AT)]
    told = judged("x", history, Effects(found=[]), faults=faults, within_s=within_s)
    assert told.recovered_s == pytest.approx(0.8)
    assert (told.calls, told.failed, told.later) == (2, 1, 0)
    assert told.is_in_time == is_in_time
    assert str(told).endswith("kept" if is_in_time else "LATE")


def test_calls_that_fail_after_all_was_well_break_the_promise() -> None:
    """A quiet second in between is not the end of it."""
    history = [
        call("a", Outcome.UNKNOWN, began=100.0, ended=100.1),
        call("b", Outcome.UNKNOWN, began=104.0, ended=104.1),
        call("c", Outcome.OK, began=109.0, ended=109.1),
    ]
    effects = Effects(found=[])
    told = judged("x", history, effects, faults=[("kill", FAULT_AT)], within_s=3.0)
    assert told.recovered_s == pytest.approx(0.1)
    assert told.later == 1
    assert not told.is_in_time
