"""When a name is refused, and for how long."""

from __future__ import annotations

import pytest

from centers.identity.errors import IdentityReason
from centers.identity.lockout import MAX_FAILURES, WINDOW_S, Lockout
from mesh.clock import ManualClock
from mesh.errors import MeshError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lockout(clock: ManualClock) -> Lockout:
    return Lockout(clock)


def fail(lockout: Lockout, name: str, times: int) -> None:
    for _ in range(times):
        lockout.admit(name)


def test_ten_failures_close_the_name(lockout: Lockout) -> None:
    """The tenth attempt is still heard, the eleventh is not."""
    fail(lockout, "rm001", MAX_FAILURES)
    with pytest.raises(MeshError) as refused:
        lockout.admit("rm001")
    assert refused.value.reason is IdentityReason.TOO_MANY_ATTEMPTS
    assert refused.value.retry_after_s == WINDOW_S


def test_a_closed_name_opens_fifteen_minutes_after_the_last_failure(
    lockout: Lockout, clock: ManualClock
) -> None:
    """Refused tries do not prolong it, and RetryInfo says what is left."""
    fail(lockout, "rm001", MAX_FAILURES)
    clock.advance(WINDOW_S - 1)
    with pytest.raises(MeshError) as refused:
        lockout.admit("rm001")
    assert refused.value.retry_after_s == 1
    clock.advance(1)
    lockout.admit("rm001")


def test_after_it_opened_ten_more_failures_are_needed(lockout: Lockout, clock: ManualClock) -> None:
    """A name that was closed starts anew."""
    fail(lockout, "rm001", MAX_FAILURES)
    clock.advance(WINDOW_S)
    fail(lockout, "rm001", MAX_FAILURES)
    with pytest.raises(MeshError):
        lockout.admit("rm001")


def test_failures_count_only_within_fifteen_minutes(lockout: Lockout, clock: ManualClock) -> None:
    """Slow failures never close a name."""
    for _ in range(5 * MAX_FAILURES):
        lockout.admit("rm001")
        clock.advance(WINDOW_S / (MAX_FAILURES - 1))


def test_success_forgets_the_failures(lockout: Lockout) -> None:
    """Nine failures and a success leave nothing behind."""
    fail(lockout, "rm001", MAX_FAILURES - 1)
    lockout.succeeded("rm001")
    fail(lockout, "rm001", MAX_FAILURES)


def test_an_attempt_that_was_not_carried_out_does_not_count(lockout: Lockout) -> None:
    """Overload locks nobody out."""
    for _ in range(MAX_FAILURES * 2):
        lockout.admit("rm001")
        lockout.withdraw("rm001")
    lockout.withdraw("never tried")
    lockout.admit("rm001")


def test_names_do_not_count_for_one_another(lockout: Lockout) -> None:
    """A closed name closes no other."""
    fail(lockout, "rm001", MAX_FAILURES)
    lockout.admit("rm002")


def test_the_table_is_bounded(clock: ManualClock) -> None:
    """The name that was tried longest ago is forgotten first."""
    lockout = Lockout(clock, max_names=2)
    fail(lockout, "old", MAX_FAILURES)
    fail(lockout, "recent", MAX_FAILURES)
    lockout.admit("new")
    lockout.admit("old")
    with pytest.raises(MeshError):
        fail(lockout, "new", MAX_FAILURES)


def test_a_name_that_is_refused_counts_as_tried(clock: ManualClock) -> None:
    """A flood of other names does not push out a name that is under attack."""
    lockout = Lockout(clock, max_names=2)
    fail(lockout, "victim", MAX_FAILURES)
    for number in range(10):
        lockout.admit(f"other{number}")
        with pytest.raises(MeshError):
            lockout.admit("victim")
